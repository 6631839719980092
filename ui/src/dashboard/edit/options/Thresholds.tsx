import { Button, ColorPicker, IconButton, Input, RadioButtonGroup, Stack, useTheme2 } from '@grafana/ui';
import { css } from '@emotion/css';
import { removedAt, replacedAt } from '../json';

interface Step {
  color: string;
  value: number | null | undefined;
}

interface Stored {
  mode: string;
  steps: Step[];
}

const MODES = [
  { label: 'Absolute', value: 'absolute' },
  { label: 'Percentage', value: 'percentage' },
];

const COLORS = ['red', 'orange', 'yellow', 'blue', 'purple', 'green'];

interface Props {
  value: unknown;
  onChange: (value: unknown) => void;
}

/** Values from which on another colour holds. The lowest one holds from the beginning. */
export function Thresholds({ value, onChange }: Props) {
  const stored = (value as Stored | undefined) ?? {
    mode: 'absolute',
    steps: [{ color: 'green', value: -Infinity }],
  };
  const { mode, steps } = stored;
  const set = (next: Step[]) => onChange({ ...stored, steps: inOrder(next) });
  const add = () => {
    const last = steps.at(-1)?.value;
    const from = typeof last === 'number' && Number.isFinite(last) ? last + 10 : 0;
    set([...steps, { value: from, color: COLORS[(steps.length - 1) % COLORS.length] ?? 'red' }]);
  };
  return (
    <Stack direction="column">
      <div>
        <Button size="sm" variant="secondary" icon="plus" onClick={add}>
          Add threshold
        </Button>
      </div>
      {steps
        .map((step, at) => (
          <Row
            key={at}
            step={step}
            isBase={at === 0}
            isPercent={mode === 'percentage'}
            onColor={(color) => onChange({ ...stored, steps: replacedAt(steps, at, { ...step, color }) })}
            onValue={(next) => set(replacedAt(steps, at, { ...step, value: next }))}
            onRemove={() => set(removedAt(steps, at))}
          />
        ))
        .reverse()}
      <RadioButtonGroup
        aria-label="Thresholds mode"
        fullWidth
        options={MODES}
        value={mode}
        onChange={(next) => onChange({ ...stored, mode: next })}
      />
    </Stack>
  );
}

export function inOrder([base, ...rest]: Step[]): Step[] {
  const sorted = [...rest].sort((a, b) => (a.value ?? 0) - (b.value ?? 0));
  return base ? [{ ...base, value: -Infinity }, ...sorted] : sorted;
}

interface RowProps {
  step: Step;
  isBase: boolean;
  isPercent: boolean;
  onColor: (color: string) => void;
  onValue: (value: number) => void;
  onRemove: () => void;
}

function Row({ step: { color, value }, isBase, isPercent, onColor, onValue, onRemove }: RowProps) {
  const theme = useTheme2();
  const swatch = css({
    background: theme.visualization.getColorByName(color),
    border: 0,
    borderRadius: '50%',
    height: 18,
    width: 18,
  });
  return (
    <Stack alignItems="center">
      <ColorPicker color={color} onChange={onColor} enableNamedColors>
        {({ ref, showColorPicker }) => (
          <button
            type="button"
            ref={ref}
            className={swatch}
            aria-label={`Colour ${color}`}
            onClick={showColorPicker}
          />
        )}
      </ColorPicker>
      {isBase ? (
        <span>Base</span>
      ) : (
        <>
          <Input
            type="number"
            step="any"
            aria-label="From the value"
            key={value}
            defaultValue={value ?? 0}
            suffix={isPercent ? '%' : undefined}
            onBlur={({ currentTarget }) => onValue(Number(currentTarget.value))}
            onKeyDown={({ key, currentTarget }) => key === 'Enter' && onValue(Number(currentTarget.value))}
          />
          <IconButton name="trash-alt" aria-label="Remove threshold" onClick={onRemove} />
        </>
      )}
    </Stack>
  );
}
