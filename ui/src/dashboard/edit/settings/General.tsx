import {
  Box,
  Combobox,
  Field,
  Input,
  RadioButtonGroup,
  Stack,
  Switch,
  Text,
  TagsInput,
  TextArea,
  TimeZonePicker,
  WeekStartPicker,
  isWeekStart,
} from '@grafana/ui';
import { dateMath, rangeUtil } from '@grafana/data';
import { useState } from 'react';
import { setIn } from '../json';
import type { PartProps } from './SettingsPage';

const TOOLTIPS = [
  { label: 'Default', value: 0 },
  { label: 'Shared crosshair', value: 1 },
  { label: 'Shared tooltip', value: 2 },
];

const EDITABLE = [
  { label: 'Editable', value: true },
  { label: 'Read-only', value: false },
];

const REFRESH = ['', '5s', '10s', '30s', '1m', '5m', '15m', '30m', '1h', '2h', '1d'];

/** Title, time and what holds for all panels. */
export function General({ dashboard, onChange }: PartProps) {
  const set = (path: string) => (value: unknown) => onChange(setIn(dashboard, path, value));
  const { refresh_intervals: intervals, hidden = false, nowDelay = '' } = dashboard.timepicker;
  return (
    <Box maxWidth={76}>
      <Stack direction="column" gap={2}>
        <Field label="Title" noMargin invalid={!dashboard.title.trim()} error="A dashboard needs a title">
          <Input
            id="dashboard-title"
            value={dashboard.title}
            onChange={({ currentTarget }) => set('title')(currentTarget.value)}
          />
        </Field>
        <Field label="Description" noMargin>
          <TextArea
            id="dashboard-description"
            rows={3}
            value={dashboard.description ?? ''}
            onChange={({ currentTarget }) => set('description')(currentTarget.value || undefined)}
          />
        </Field>
        <Field label="Tags" noMargin>
          <TagsInput id="dashboard-tags" tags={dashboard.tags} onChange={set('tags')} width={60} />
        </Field>
        <Field label="Who edits it" description="Read-only dashboards have no edit button" noMargin>
          <RadioButtonGroup
            options={EDITABLE}
            value={dashboard.editable !== false}
            onChange={set('editable')}
          />
        </Field>
        <Text element="h2" variant="h4">
          Time
        </Text>
        <Field label="Time zone" noMargin>
          <TimeZonePicker
            includeInternal
            inputId="dashboard-timezone"
            value={dashboard.timezone ?? ''}
            onChange={set('timezone')}
          />
        </Field>
        <Field label="Week start" noMargin>
          <WeekStartPicker
            inputId="dashboard-week"
            {...(dashboard.weekStart && isWeekStart(dashboard.weekStart)
              ? { value: dashboard.weekStart }
              : {})}
            onChange={(value) => set('weekStart')(value ?? '')}
          />
        </Field>
        <Stack>
          <TimeField
            id="time-from"
            label="Begins with, from"
            value={dashboard.time.from}
            onChange={set('time.from')}
          />
          <TimeField id="time-to" label="to" value={dashboard.time.to} onChange={set('time.to')} />
        </Stack>
        <Field label="Refreshes every" noMargin>
          <Combobox
            aria-label="Refreshes every"
            createCustomValue
            width={20}
            options={REFRESH.map((value) => ({ value, label: value || 'Never' }))}
            value={dashboard.refresh ?? ''}
            onChange={({ value }) => set('refresh')(value)}
          />
        </Field>
        <Field label="Choices of refresh" description="Intervals between commas" noMargin>
          <Input
            id="refresh-intervals"
            placeholder="5s,10s,30s,1m,5m,15m,30m,1h,2h,1d"
            value={intervals?.join(',') ?? ''}
            onChange={({ currentTarget }) =>
              set('timepicker.refresh_intervals')(intervalsOf(currentTarget.value))
            }
          />
        </Field>
        <Field
          label="Now is delayed by"
          description="For data that comes late, such as 1m"
          noMargin
          invalid={Boolean(nowDelay) && !isInterval(nowDelay)}
          error="An interval, such as 0s or 1m"
        >
          <Input
            id="now-delay"
            width={20}
            value={nowDelay}
            onChange={({ currentTarget }) => set('timepicker.nowDelay')(currentTarget.value || undefined)}
          />
        </Field>
        <Field label="Hide the time picker" noMargin>
          <Switch
            id="hide-picker"
            value={hidden}
            onChange={({ currentTarget }) => set('timepicker.hidden')(currentTarget.checked)}
          />
        </Field>
        <Text element="h2" variant="h4">
          Panels
        </Text>
        <Field
          label="Graph tooltip"
          description="What panels show of a time that another one is pointed at"
          noMargin
        >
          <RadioButtonGroup
            options={TOOLTIPS}
            value={dashboard.graphTooltip}
            onChange={set('graphTooltip')}
          />
        </Field>
      </Stack>
    </Box>
  );
}

function intervalsOf(text: string): string[] | undefined {
  const list = text.split(',').map((each) => each.trim());
  return text ? list : undefined;
}

function isInterval(text: string): boolean {
  try {
    rangeUtil.intervalToMs(text);
    return true;
  } catch {
    return false;
  }
}

interface TimeFieldProps {
  id: string;
  label: string;
  value: string;
  onChange: (value: string) => void;
}

/** A time in words; it is taken once it is one. */
function TimeField({ id, label, value, onChange }: TimeFieldProps) {
  const [text, setText] = useState(value);
  const isTime = dateMath.isValid(text);
  const change = (next: string) => {
    setText(next);
    if (dateMath.isValid(next)) onChange(next);
  };
  return (
    <Field label={label} noMargin invalid={!isTime} error="A time, such as now-6h or 2026-01-31 12:00:00">
      <Input id={id} width={24} value={text} onChange={({ currentTarget }) => change(currentTarget.value)} />
    </Field>
  );
}
