import { locationService } from '@grafana/runtime';
import { useLocation } from 'react-router-dom';

/** A parameter of the address, and how to change it without a step in the browser's history. */
export function useParameter(name: string, fallback = ''): [string, (value: string) => void] {
  const { search } = useLocation();
  const value = new URLSearchParams(search).get(name) ?? fallback;
  const set = (changed: string) =>
    locationService.partial({ [name]: changed && changed !== fallback ? changed : null }, true);
  return [value, set];
}
