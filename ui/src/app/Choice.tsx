import { css } from '@emotion/css';
import { RadioButtonGroup } from '@grafana/ui';

interface Props<Value extends string> {
  label: string;
  options: { label: string; value: Value }[];
  value: Value;
  onChange: (value: Value) => void;
}

/** One of a few, all of which stay to be read: where there is no room for them they are moved sideways. */
export function Choice<Value extends string>({ label, ...rest }: Props<Value>) {
  return (
    <div className={STYLE}>
      <RadioButtonGroup aria-label={label} {...rest} />
    </div>
  );
}

const STYLE = css({
  maxWidth: '100%',
  overflowX: 'auto',
  '> div': { maxWidth: 'none', width: 'max-content' },
});
