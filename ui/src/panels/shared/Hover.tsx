import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Portal, useStyles2 } from '@grafana/ui';
import type { ReactNode } from 'react';

interface Props {
  /** Where the pointer is, in the window. */
  at: { x: number; y: number } | undefined;
  children: ReactNode;
}

/** What is told about what is under the pointer. */
export function Hover({ at, children }: Props) {
  const style = useStyles2(getStyle);
  if (!at) return null;
  const isRight = at.x > window.innerWidth / 2;
  return (
    <Portal>
      <div
        className={style}
        style={{
          left: at.x + (isRight ? -12 : 12),
          top: at.y + 12,
          transform: isRight ? 'translateX(-100%)' : 'none',
        }}
      >
        {children}
      </div>
    </Portal>
  );
}

const getStyle = (theme: GrafanaTheme2) =>
  css({
    background: theme.colors.background.elevated,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    boxShadow: theme.shadows.z3,
    fontSize: theme.typography.bodySmall.fontSize,
    maxWidth: 480,
    padding: theme.spacing(1),
    pointerEvents: 'none',
    position: 'fixed',
    zIndex: theme.zIndex.tooltip,
  });
