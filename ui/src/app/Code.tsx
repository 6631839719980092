import { css } from '@emotion/css';
import type { ReactNode } from 'react';

/** Text of a program, broken where it is too long for its place. */
export function Code({ children }: { children: ReactNode }) {
  return <code className={STYLE}>{children}</code>;
}

const STYLE = css({ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' });
