/** Renders tables, with a caption and the scope of each heading. */
import { type Html, html } from './html.ts';

interface Table {
  readonly caption: string;
  /** The first one is that of the row headings. */
  readonly headings: readonly string[];
  readonly rows: readonly TableRow[];
  /** Sentences in place of numbers. */
  readonly isProse?: boolean;
}

interface TableRow {
  readonly heading: Html | string;
  readonly cells: readonly (Html | string)[];
}

export function renderTable({ caption, headings, rows, isProse = false }: Table): Html {
  return html`<div class="wide${isProse ? ' prose' : ''}"><table>
<caption>${caption}</caption>
<thead><tr>${headings.map((heading) => html`<th scope="col">${heading}</th>`)}</tr></thead>
<tbody>
${rows.map(
  ({ heading, cells }) =>
    html`<tr><th scope="row">${heading}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`,
)}</tbody>
</table></div>`;
}
