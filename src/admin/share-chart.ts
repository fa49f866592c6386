/** Draws the share of refused checks over time as an inline SVG: one bar for each interval, stacked by group. */
import { percentOf } from '../rollout/assess.ts';
import { GROUP_NAMES } from '../rollout/outcomes.ts';
import type { HourReport, WindowReport } from '../rollout/report.ts';
import { formatPercent, formatShare, plural } from '../rollout/words.ts';
import { type Html, html } from './html.ts';

const WIDTH = 100;
const HEIGHT = 40;
/** Above the bars, for the mark. */
const TOP = 5;
/** Even a share that is close to nothing gets a scale. */
const MIN_SCALE_PERCENT = 0.1;

interface ChartOptions {
  readonly title: string;
  readonly window: WindowReport;
  /** Marked with a triangle. */
  readonly worst?: HourReport | null;
  /** Bars with fewer checks are faint. */
  readonly minJudged?: number;
  /** Drawn as a line, if it is within the scale. */
  readonly limitPercent?: number;
}

export function renderChart({
  title,
  window,
  worst = null,
  minJudged = 0,
  limitPercent,
}: ChartOptions): Html {
  const { intervals } = window;
  const counted = intervals.filter(({ judged }) => judged > 0 && judged >= minJudged);
  const scale = roundUp(Math.max(MIN_SCALE_PERCENT, ...counted.map(percentOf)));
  const pitch = WIDTH / intervals.length;
  const bars = intervals.map((interval, index) => {
    const bar = renderBar(interval, index * pitch, pitch, scale);
    const isFaint = interval.judged < minJudged;
    return isFaint ? html`<g class="faint">${bar}</g>` : bar;
  });
  const worstIndex = intervals.findIndex(({ start }) => start === worst?.start);
  const description = describe(title, window, worst);
  return html`<figure>
<figcaption><b>${title}</b> ${formatShare(window.refused, window.judged)}</figcaption>
<div class="plot">
<p class="scale" aria-hidden="true">${counted.length === 0 ? '' : formatPercent(scale)}</p>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${description}">
<title>${title}</title><desc>${description}</desc>
${bars}
${limitPercent === undefined || limitPercent > scale ? undefined : renderLimit(limitPercent, scale)}
<line class="axis" x1="0" x2="${WIDTH}" y1="${HEIGHT}" y2="${HEIGHT}" vector-effect="non-scaling-stroke"/>
${worst === null || worst.refused === 0 || worstIndex < 0 ? undefined : renderMark(worstIndex * pitch, pitch, percentOf(worst), scale)}
</svg>
<p class="times" aria-hidden="true"><span>${timeOf(intervals[0]?.start, window)}</span><span>now</span></p>
</div>
${describeWorst(worst, window, limitPercent)}
</figure>`;
}

function renderBar(interval: HourReport, left: number, pitch: number, scale: number): readonly Html[] {
  const width = round(pitch * 0.8);
  const x = round(left + pitch * 0.1);
  let bottom = HEIGHT;
  const total = Math.min(percentOf(interval), scale);
  return GROUP_NAMES.flatMap((group, index) => {
    const refused = interval.groups[group] ?? 0;
    if (refused === 0) return [];
    const height = ((HEIGHT - TOP) * total * (refused / interval.refused)) / scale;
    bottom -= height;
    return [
      html`<rect class="g${index}" x="${x}" y="${round(bottom)}" width="${width}" height="${round(height)}"/>`,
    ];
  });
}

function renderLimit(percent: number, scale: number): Html {
  const y = round(HEIGHT - ((HEIGHT - TOP) * percent) / scale);
  return html`<line class="limit" x1="0" x2="${WIDTH}" y1="${y}" y2="${y}" vector-effect="non-scaling-stroke"/>`;
}

/** Above the bar. */
function renderMark(left: number, pitch: number, percent: number, scale: number): Html {
  const middle = left + pitch / 2;
  const y = HEIGHT - ((HEIGHT - TOP) * Math.min(percent, scale)) / scale;
  const points = [
    [middle, y - 0.5],
    [middle - 1.2, y - 4],
    [middle + 1.2, y - 4],
  ].map((point) => point.map(round).join(','));
  return html`<polygon class="mark" points="${points.join(' ')}"/>`;
}

function describeWorst(
  worst: HourReport | null,
  window: WindowReport,
  limitPercent: number | undefined,
): Html | undefined {
  if (worst === null || worst.refused === 0) return undefined;
  const limit = limitPercent === undefined ? '' : `; the limit is ${formatPercent(limitPercent)}`;
  return html`<p class="soft">▼ Worst hour, from ${timeOf(worst.start, window)}: ${formatShare(worst.refused, worst.judged)} of ${plural(worst.judged, 'check')}${limit}. Faint bars have too little traffic to count.</p>`;
}

function describe(title: string, window: WindowReport, worst: HourReport | null): string {
  const share =
    window.judged === 0
      ? `${title}: no check`
      : `${title}: ${formatShare(window.refused, window.judged)} of ${plural(window.judged, 'check')} refused`;
  if (worst === null || worst.refused === 0) return share;
  return `${share}; in the worst hour, from ${timeOf(worst.start, window)} UTC, ${formatShare(worst.refused, worst.judged)}`;
}

/** `14:00`, or `yesterday 14:00` if the window ends on another day. */
function timeOf(iso: string | undefined, { intervals }: WindowReport): string {
  if (iso === undefined) return '';
  const [day, today] = [iso, intervals.at(-1)?.start].map((start) => start?.slice(0, 10));
  return `${day === today ? '' : 'yesterday '}${iso.slice(11, 16)}`;
}

/** To two digits. */
function roundUp(percent: number): number {
  const unit = 10 ** Math.floor(Math.log10(percent) - 1);
  return Number((Math.ceil(percent / unit - 1e-9) * unit).toPrecision(3));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
