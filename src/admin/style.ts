/** The style sheet of the admin pages. The Content-Security-Policy names its hash, so no element has a style of its own. */

/** One colour for each group of refused checks, by its position. */
const GROUP_COLOURS = [
  '#2563eb',
  '#0d9488',
  '#dc2626',
  '#d97706',
  '#7c3aed',
  '#db2777',
  '#65a30d',
  '#0891b2',
  '#78716c',
  '#9333ea',
  '#b91c1c',
];

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1b1f24; --soft: #57606a; --line: #d8dee4;
  --safe: #1a7f37; --not-yet: #cf222e; --cannot-tell: #8a5a00; --mark: #1b1f24; --code: #eef1f4; --link: #0a58ca;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --card: #161b22; --text: #e6edf3; --soft: #9ba5b0; --line: #30363d;
    --safe: #3fb950; --not-yet: #ff7b72; --cannot-tell: #e3b341; --mark: #e6edf3; --code: #21262d; --link: #79b8ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif;
}
h1 { margin: .25rem 0 .25rem; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 0 0 .75rem; font-size: 1.25rem; line-height: 1.3; overflow-wrap: anywhere; }
h3 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
p { margin: .4rem 0; }
a { color: var(--link); }
.soft { color: var(--soft); font-size: .875rem; }
section { margin: 1rem 0; padding: 1rem 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.mode { padding: .1rem .5rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .8rem; font-weight: 400; color: var(--soft); white-space: nowrap; }
.verdict, .override { margin: 0 0 1rem; padding: .6rem .9rem; border-left: .3rem solid; background: var(--page); border-radius: .2rem; overflow-wrap: break-word; }
.override { border-color: var(--cannot-tell); }
.verdict p:first-child { font-weight: 600; }
.verdict .soft { color: var(--soft); }
.safe { border-color: var(--safe); } .safe b { color: var(--safe); }
.not_yet { border-color: var(--not-yet); } .not_yet b { color: var(--not-yet); }
.cannot_tell { border-color: var(--cannot-tell); } .cannot_tell b { color: var(--cannot-tell); }
dl.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem 1.25rem; margin: 1rem 0; }
dl.figures div { border-top: 2px solid var(--line); padding-top: .35rem; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3; }
dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
.charts { display: grid; grid-template-columns: 1fr 1fr 2fr; gap: 1.25rem; }
figure { margin: 0; min-width: 0; }
.plot { position: relative; margin-top: .3rem; }
.scale { position: absolute; top: 0; left: 0; margin: 0; font-size: .75rem; line-height: 1; color: var(--soft); }
.times { display: flex; justify-content: space-between; margin: .2rem 0 0; font-size: .75rem; line-height: 1.2; color: var(--soft); }
figcaption { font-size: .9rem; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: 6.5rem; overflow: visible; }
svg .axis { stroke: var(--line); } svg .limit { stroke: var(--soft); stroke-dasharray: 3 3; }
svg .faint { opacity: .35; } svg .mark { fill: var(--mark); } svg .none { fill: var(--line); }
@media (max-width: 44rem) {
  .charts { grid-template-columns: 1fr 1fr; gap: 1rem; } .charts figure:last-child { grid-column: 1 / -1; } svg { height: 4.5rem; }
}
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { padding: 1.25rem 0 .4rem; text-align: left; font-weight: 600; }
section > .wide:first-child caption { padding-top: 0; }
th, td { padding: .35rem .5rem; border-top: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child { width: 100%; text-align: left; padding-left: 0; }
td { white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; }
td + td, thead th + th + th { padding-left: 1rem; }
.prose td { text-align: left; white-space: normal; width: 100%; } .prose th:first-child { width: auto; padding-right: 1rem; } .prose thead th { text-align: left; }
th { font-weight: 400; } thead th { color: var(--soft); font-size: .8rem; border-top: 0; white-space: nowrap; }
th small { display: block; color: var(--soft); font-size: .8rem; line-height: 1.35; }
.swatch { display: inline-block; width: .7rem; height: .7rem; margin-right: .4rem; vertical-align: baseline; border-radius: .15rem; }
details { margin-top: .75rem; } summary { cursor: pointer; font-size: .9rem; color: var(--link); }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .85rem; background: var(--code); border-radius: .3rem; }
code { padding: .1rem .3rem; overflow-wrap: anywhere; }
pre { margin: .4rem 0; padding: .6rem .75rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre code { padding: 0; background: none; }
ul { margin: .4rem 0; padding-left: 1.2rem; }
@media (max-width: 30rem) {
  body { padding: .6rem; } section { padding: .8rem .85rem; }
  table { font-size: .85rem; } td + td, thead th + th + th { padding-left: .4rem; }
  thead th, td { white-space: normal; } .hint { display: none; }
  .mode { display: inline-block; white-space: normal; border-radius: .6rem; } td time { display: inline-block; min-width: 6rem; }
}
${GROUP_COLOURS.map((colour, index) => `.g${index} { fill: ${colour}; background: ${colour}; }`).join('\n')}
`;
