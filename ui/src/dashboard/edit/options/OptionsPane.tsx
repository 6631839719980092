import { css } from '@emotion/css';
import type { GrafanaTheme2, PanelPlugin } from '@grafana/data';
import { CollapsableSection, FilterInput, RadioButtonGroup, useStyles2 } from '@grafana/ui';
import { useState, type ReactNode } from 'react';
import type { Descriptor } from '~/panels/editing/descriptor';
import type { DashboardScene } from '../../DashboardScene';
import { getIn } from '../json';
import { optionOf, type PanelPreview } from '../panel/preview';
import { useData, useFieldNames } from '../panel/useData';
import { fieldDefault, fieldOptions, panelOptions } from './catalog';
import { General } from './General';
import { OptionField } from './OptionField';
import { Overrides } from './Overrides';

interface Props {
  scene: DashboardScene;
  preview: PanelPreview;
  plugin: PanelPlugin;
}

/** All that can be said about how the panel looks. */
export function OptionsPane({ scene, preview, plugin }: Props) {
  const styles = useStyles2(getStyles);
  const { json } = preview.useState();
  const [search, setSearch] = useState('');
  const [view, setView] = useState<'all' | 'overrides'>('all');
  const overrides = json.fieldConfig?.overrides.length ?? 0;
  const views = [
    { label: 'All', value: 'all' as const },
    { label: `Overrides${overrides ? ` (${overrides})` : ''}`, value: 'overrides' as const },
  ];
  const takesFields = !plugin.meta.skipDataQuery;
  return (
    <>
      <div className={styles.top}>
        <FilterInput placeholder="Search options" value={search} onChange={setSearch} escapeRegex={false} />
        {takesFields && (
          <RadioButtonGroup
            aria-label="Options shown"
            fullWidth
            options={views}
            value={view}
            onChange={setView}
          />
        )}
      </div>
      <div className={styles.list}>
        {view === 'overrides' ? (
          <Overrides preview={preview} plugin={plugin} />
        ) : (
          <All scene={scene} preview={preview} plugin={plugin} search={search.trim().toLowerCase()} />
        )}
      </div>
    </>
  );
}

interface Shown {
  option: Descriptor;
  value: unknown;
  onChange: (value: unknown) => void;
}

function All({ scene, preview, plugin, search }: Props & { search: string }) {
  const { json, panel } = preview.useState();
  const state = panel.useState();
  const fields = useFieldNames(preview);
  const frames = useData(preview)?.series ?? [];
  const options = (state.options ?? {}) as Record<string, unknown>;
  const config = (json.fieldConfig?.defaults ?? {}) as Record<string, unknown>;
  const withDefaults = state.fieldConfig.defaults as Record<string, unknown>;
  const matches = ({ name, category }: Descriptor) =>
    !search || `${category} ${name}`.toLowerCase().includes(search);
  const own = panelOptions(plugin)
    .filter((option) => matches(option) && (option.shown?.(options) ?? true))
    .map((option): Shown => ({
      option,
      value: optionOf(panel, option.path),
      onChange: (value) => preview.setOption(plugin, option.path, value),
    }));
  const ofFields = plugin.meta.skipDataQuery
    ? []
    : fieldOptions(plugin)
        .filter((option) => matches(option) && (option.shown?.(withDefaults) ?? true))
        .map((option): Shown => ({
          option,
          value: getIn(config, option.path) ?? fieldDefault(plugin, option.path),
          onChange: (value) => preview.setField(option.path, value),
        }));
  const sections = byCategory([...own, ...ofFields]);
  return (
    <>
      {(!search || 'panel options title description'.includes(search)) && (
        <Section title="Panel options" isOpen>
          <General scene={scene} preview={preview} />
        </Section>
      )}
      {[...sections].map(([title, list]) => (
        <Section key={title} title={title} isOpen={Boolean(search) || !CLOSED_FIRST.has(title)}>
          {list.map(({ option, value, onChange }) => (
            <OptionField
              key={option.path}
              option={option}
              value={value}
              onChange={onChange}
              fields={fields}
              frames={frames}
            />
          ))}
        </Section>
      ))}
    </>
  );
}

/** What few panels need. */
const CLOSED_FIRST = new Set([
  'Hidden',
  'Other',
  'Data links',
  'Value mappings',
  'Text size',
  'Cells',
  'Columns',
]);

function byCategory(list: Shown[]): Map<string, Shown[]> {
  const sections = new Map<string, Shown[]>();
  for (const each of list) {
    const { category } = each.option;
    sections.set(category, [...(sections.get(category) ?? []), each]);
  }
  return sections;
}

function Section({ title, isOpen, children }: { title: string; isOpen: boolean; children: ReactNode }) {
  const styles = useStyles2(getStyles);
  return (
    <CollapsableSection
      label={<span className={styles.heading}>{title}</span>}
      isOpen={isOpen}
      className={styles.section}
      contentClassName={styles.content}
    >
      {children}
    </CollapsableSection>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  top: css({
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(1),
    padding: theme.spacing(0, 1, 1),
  }),
  list: css({ flex: '1 1 auto', minHeight: 0, overflow: 'auto' }),
  heading: css({ fontSize: theme.typography.body.fontSize, fontWeight: 500 }),
  section: css({ borderTop: `1px solid ${theme.colors.border.weak}`, padding: theme.spacing(0.75, 1) }),
  content: css({
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(2),
    padding: theme.spacing(1, 1, 2),
  }),
});
