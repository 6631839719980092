import {
  FieldType,
  applyFieldOverrides,
  createTheme,
  toDataFrame,
  type ConfigOverrideRule,
} from '@grafana/data';
import { act, createElement, type ReactElement } from 'react';
import { createRoot } from 'react-dom/client';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { initRegistries } from '~/grafana-host/registries';
import { BY_VALUE, ByValue } from './ByValue';
import { XySeries, fieldOf, fieldsOf, otherOf, withField, withFrame, withName } from './XySeries';

beforeAll(() => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
  initRegistries();
  // Icons are files of a server.
  vi.stubGlobal('fetch', () => Promise.resolve(new Response('<svg></svg>')));
  // Fields are as wide as their texts, which nothing measures here.
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue({
    measureText: () => ({ width: 0 }),
  } as never);
});

const number = (name: string, values: number[]) => ({ name, type: FieldType.number, values });
const frames = [
  toDataFrame({ refId: 'A', fields: [number('load', [1, 9]), number('idle', [0, 0])] }),
  toDataFrame({ refId: 'B', fields: [number('free', [5, 1])] }),
];

async function shown(element: ReactElement): Promise<HTMLElement> {
  const place = document.createElement('div');
  document.body.append(place);
  await act(async () => createRoot(place).render(element));
  return place;
}

/** Types as a hand does, so that React hears of it. */
function write(input: HTMLInputElement | null | undefined, text: string) {
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')?.set?.call(input, text);
  return act(async () => input?.dispatchEvent(new Event('input', { bubbles: true })));
}

describe('fields by their values', () => {
  it('what is asked for at first finds what is nothing but zero', () => {
    const named = (options: unknown) => {
      const override: ConfigOverrideRule = {
        matcher: { id: 'byValue', options },
        properties: [{ id: 'unit', value: 'bytes' }],
      };
      const found = applyFieldOverrides({
        data: frames,
        fieldConfig: { defaults: {}, overrides: [override] },
        replaceVariables: (text) => text,
        theme: createTheme(),
      });
      return found.flatMap(({ fields }) =>
        fields.filter(({ config }) => config.unit === 'bytes').map(({ name }) => name),
      );
    };
    expect(named(BY_VALUE)).toEqual(['idle']);
    expect(named({ reducer: 'max', op: 'gte', value: 5 })).toEqual(['load', 'free']);
    expect(named({ reducer: 'max', op: 'lt', value: 6 })).toEqual(['idle', 'free']);
  });

  it('a number is compared with, unless values say yes or no by themselves', async () => {
    const onChange = vi.fn();
    const decided = await shown(createElement(ByValue, { options: BY_VALUE, onChange }));
    expect(decided.querySelector('input[type="number"]')).toBeNull();

    const options = { reducer: 'max', op: 'gt', value: 80 };
    const compared = await shown(createElement(ByValue, { options, onChange }));
    const input = compared.querySelector<HTMLInputElement>('input[type="number"]');
    expect(input?.value).toBe('80');
    await write(input, '2.5');
    expect(onChange).toHaveBeenLastCalledWith({ ...options, value: 2.5 });
    await write(input, '');
    expect(onChange).toHaveBeenLastCalledWith({ ...options, value: 0 });
  });
});

describe('series of an XY chart by hand', () => {
  it('a rule keeps what is not changed', () => {
    const rule = { y: { matcher: { id: 'byName', options: 'load' } }, name: { fixed: 'Load' } };
    const along = withField(rule, 'x', 'free');
    expect(along).toEqual({ ...rule, x: { matcher: { id: 'byName', options: 'free' } } });
    expect(withField(along, 'x', undefined)).toEqual(rule);
    expect(withFrame(rule, 0)).toEqual({ ...rule, frame: { matcher: { id: 'byIndex', options: 0 } } });
    expect(withFrame(withFrame(rule, 0), undefined)).toEqual(rule);
    expect(withName(rule, '')).toEqual({ y: rule.y });
  });

  it('what asks for fields in another way is told, not taken for a name', () => {
    const byType = { matcher: { id: 'byType', options: 'number' } };
    expect([fieldOf(byType), otherOf(byType)]).toEqual([undefined, 'byType: "number"']);
    const byName = { matcher: { id: 'byName', options: 'load' } };
    expect([fieldOf(byName), otherOf(byName)]).toEqual(['load', undefined]);
  });

  it('the fields of its frame are offered', () => {
    expect(fieldsOf({}, frames)).toEqual(['load', 'idle', 'free']);
    expect(fieldsOf(withFrame({}, 1), frames)).toEqual(['free']);
  });

  it('is added to, named and taken away', async () => {
    const onChange = vi.fn();
    const value = [withField({}, 'y', 'load'), withFrame({}, 1)];
    const place = await shown(createElement(XySeries, { value, onChange, frames }));
    const press = (label: string) =>
      act(async () => place.querySelector<HTMLButtonElement>(`button[aria-label="${label}"]`)?.click());
    await press('Remove series 1');
    expect(onChange).toHaveBeenLastCalledWith([value[1]]);
    await press('Move series 2 up');
    expect(onChange).toHaveBeenLastCalledWith([value[1], value[0]]);
    const [name] = place.querySelectorAll<HTMLInputElement>('input[aria-label="Name of the series"]');
    await write(name, 'Busy');
    expect(onChange).toHaveBeenLastCalledWith([{ ...value[0], name: { fixed: 'Busy' } }, value[1]]);
    const add = [...place.querySelectorAll('button')].find(({ textContent }) => textContent === 'Add series');
    await act(async () => add?.click());
    expect(onChange).toHaveBeenLastCalledWith([...value, {}]);
  });
});
