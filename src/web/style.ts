// The one style sheet of console and portal: tokens first (light, dark, forced colours), then elements, then few classes.
export const style = `
:root { color-scheme: light dark; scroll-padding-bottom: 4rem;
  --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --ground: #f5f6f8; --line: #dfe3e8; --edge: #7d8590; --wash: #f0f3f6;
  --accent: #0b5cad; --on-accent: #ffffff; --good: #1a7f37; --warn: #8a5a00; --bad: #b3261e; --idle: #6e7781;
  --bar: #9cc3ec; --bar-last: #0b5cad; --bar-bad: #c4554d;
  --s1: .25rem; --s2: .5rem; --s3: .75rem; --s4: 1rem; --s5: 1.5rem; --s6: 2.25rem; --round: 8px;
  --text: .9375rem; --small: .8125rem; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e6edf3; --soft: #9aa7b4; --paper: #161b22; --ground: #0d1117; --line: #2b323b; --edge: #7d8590; --wash: #1c232c;
  --accent: #6cb2ff; --on-accent: #06192e; --good: #56d364; --warn: #e3b341; --bad: #ff8a80; --idle: #8b949e;
  --bar: #2f5d8f; --bar-last: #6cb2ff; --bar-bad: #c4665e; } }

* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
  font: var(--text)/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: var(--s5); }
main.narrow { max-width: 44rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 var(--s1); text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: var(--s6) 0 var(--s3); }
a { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }

header.top { display: flex; flex-wrap: wrap; align-items: center; gap: var(--s2) var(--s5); padding: var(--s3) var(--s5);
  background: var(--paper); border-bottom: 1px solid var(--line); }
header.top nav { display: flex; flex-wrap: wrap; gap: var(--s4); }
header.top nav a { color: var(--soft); text-decoration: none; padding: .2rem 0; }
header.top nav a[aria-current] { color: var(--ink); font-weight: 600; box-shadow: 0 2px 0 var(--accent); }
.viewer { margin-left: auto; display: flex; gap: var(--s3); align-items: center; color: var(--soft); font-size: var(--small); }
.skip { position: absolute; left: -99em; }
.skip:focus { left: var(--s4); top: var(--s2); background: var(--paper); padding: var(--s2); }

.crumb { font-size: var(--small); color: var(--soft); margin: 0 0 var(--s2); overflow-wrap: anywhere; }
span.photo, img.photo { display: grid; place-items: center; width: 4.5rem; height: 4.5rem; margin: 0 0 var(--s3); border-radius: 50%;
  border: 1px solid var(--line); background: var(--wash); color: var(--soft); font-size: 1.35rem; font-weight: 600; object-fit: cover; }
.photo.small { flex: none; width: 1.75rem; height: 1.75rem; margin: -.2rem 0; font-size: .7rem; line-height: 1; }
.person { display: flex; align-items: center; gap: var(--s2); }
.lead { color: var(--soft); margin: 0 0 var(--s4); max-width: 46rem; text-wrap: pretty; }
.panel { background: var(--paper); border: 1px solid var(--line); border-radius: var(--round); padding: var(--s4) var(--s5); }
.panel + .panel { margin-top: var(--s4); }
.panel h2 { margin-top: 0; }
.panel + .scroll, .scroll + .panel, .panel + form, form .scroll + .panel { margin-top: var(--s4); }
.need { border-left: 4px solid var(--warn); }
.need.bad { border-left-color: var(--bad); }
.need.good { border-left-color: var(--good); }
.need p { margin: 0; }
.need p + p { color: var(--soft); font-size: var(--small); }
.facts { display: flex; flex-wrap: wrap; gap: var(--s3) var(--s6); margin: var(--s4) 0; padding: 0; list-style: none; }
.facts b { display: block; font-size: 1.35rem; line-height: 1.2; font-weight: 600; }
.facts span { color: var(--soft); font-size: var(--small); }
.acts { display: flex; flex-wrap: wrap; gap: var(--s2); align-items: center; margin: var(--s4) 0; }
.acts form, .row-acts form { display: contents; }
.row-acts { display: flex; flex-wrap: wrap; gap: 0 var(--s2); align-items: baseline; margin: -.2rem -.3rem; }
.row-acts a { padding: .2rem .3rem; text-decoration: none; font-weight: 500; }
.tabs { display: flex; flex-wrap: wrap; gap: var(--s2) var(--s4); margin: var(--s4) 0; border-bottom: 1px solid var(--line); }
.tabs a { color: var(--soft); text-decoration: none; padding: .3rem 0; }
.tabs a[aria-current] { color: var(--ink); font-weight: 600; box-shadow: 0 2px 0 var(--accent); }
.filters { display: flex; flex-wrap: wrap; gap: var(--s2); margin: var(--s4) 0 var(--s3); align-items: center; }
.filters a { padding: .2rem .7rem; border: 1px solid var(--line); border-radius: 99px; background: var(--paper); color: var(--ink);
  text-decoration: none; font-size: var(--small); }
.filters a[aria-current] { background: var(--ink); color: var(--paper); border-color: var(--ink); }
.search { display: flex; flex-wrap: wrap; gap: var(--s2); margin: var(--s4) 0 var(--s3); align-items: end; }
.search label { font-size: var(--small); color: var(--soft); display: grid; gap: var(--s1); }
.search input { min-width: 12rem; font-size: var(--text); color: var(--ink); }
.search :is(input, button, .button) { min-height: 2.6rem; }
.search input[type=search] { min-width: 18rem; }
.scroll + .crumb { margin-top: var(--s3); }
#reason { width: 30rem; max-width: 100%; }
.change { margin: var(--s1) 0 0; }
.empty { background: var(--paper); border: 1px dashed var(--line); border-radius: var(--round); padding: var(--s5); color: var(--soft); }
.line { list-style: none; margin: 0; padding: 0; }
.line.panel { padding: var(--s2) var(--s5); }
.line li { display: grid; grid-template-columns: 10rem 1fr; gap: var(--s1) var(--s4); padding: var(--s2) 0; border-top: 1px solid var(--line); }
.line li:first-child { border-top: 0; }
.line time { color: var(--soft); font-size: var(--small); padding-top: .1rem; }
.line p { margin: 0; overflow-wrap: anywhere; }
.line small { color: var(--soft); }
.tree { margin: 0; padding-left: var(--s5); }
del { color: var(--soft); }
ins { text-decoration: none; background: color-mix(in srgb, var(--good) 16%, transparent); border-radius: 3px; padding: 0 .2em; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.field { display: grid; grid-template-columns: 11rem 1fr; gap: var(--s1) var(--s4); padding: var(--s3) 0; border-top: 1px solid var(--line); }
.field label { font-weight: 600; padding-top: .4rem; }
.field input, .field select, .field textarea { width: 100%; }
.field .under { grid-column: 2; color: var(--soft); font-size: var(--small); margin: 0; }
.field input[type=checkbox], .field input[type=radio] { width: auto; justify-self: start; margin: .55rem 0 0; }
input.wide { width: 100%; }
.pair { display: flex; flex-wrap: wrap; gap: var(--s2); }
.pair input { width: auto; flex: 1 1 9rem; }
fieldset { border: 1px solid var(--line); border-radius: var(--round); margin: 0 0 var(--s4); min-width: 0; }
legend { font-weight: 600; padding: 0 var(--s2); }
.targets:not(:has([value=group]:checked)) .field:has(#group), .targets:not(:has([value=people]:checked)) .field:has(#people),
.targets:not(:has([value=field]:checked)) .field:has(#field, #values) { display: none; }
td select { max-width: 100%; }
pre { overflow-x: auto; font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; margin: var(--s3) 0 0; }
textarea { resize: vertical; }
.choice { list-style: none; margin: 0; padding: 0; }
.choice li { padding: var(--s1) 0; unicode-bidi: isolate; }
.choice, .panel p, .panel li, .field span, legend { overflow-wrap: anywhere; }
.choice small { color: var(--soft); }
.field.wrong :is(input, textarea, select) { border-color: var(--bad); box-shadow: 0 0 0 1px var(--bad); }
.field .problem { grid-column: 2; color: var(--bad); font-weight: 600; margin: 0; }
.field dt { color: var(--soft); }
.field dd { margin: 0; overflow-wrap: anywhere; }
.field dd + dd { grid-column: -2; }
.typed dd { white-space: pre-wrap; }
.field:first-of-type { border-top: 0; }
.under button.quiet { padding: 0 .2rem; margin: 0 -.2rem; font-size: inherit; text-align: left; }
dl.fields { margin: 0; }
dl.both { grid-column: 2; display: grid; align-items: baseline; grid-template-columns: fit-content(40%) 1fr; gap: var(--s1) var(--s4); margin: 0; padding: var(--s2) var(--s3);
  border: 1px solid var(--bad); border-radius: 6px; }
dl.both dt { color: var(--soft); }
dl.both dd { margin: 0; overflow-wrap: anywhere; }
fieldset.plain { border: 0; margin: 0; padding: 0; min-width: 0; }
main.portal { max-width: 52rem; }
main.portal > .photo { float: left; margin: 0 var(--s4) var(--s4) 0; }
main.portal > .photo ~ :is(.panel, h2) { clear: both; }
main.portal > .photo ~ :is(h1, .lead) { display: flow-root; }
.panel > .under { color: var(--soft); font-size: var(--small); margin: 0; overflow-wrap: anywhere; }
.acts.more form { display: flex; flex-wrap: wrap; gap: var(--s2); align-items: center; }
.acts.more small { color: var(--soft); }
.done { border-left: 4px solid var(--good); padding: var(--s2) var(--s4); background: var(--paper); margin: 0 0 var(--s4); }
.bar { margin: 0; padding: var(--s2) var(--s5); background: var(--warn); color: var(--paper); }
.preview summary { cursor: pointer; font-weight: 600; padding: var(--s2) 0; }
.preview .named { display: none; }
.preview .under { color: var(--soft); font-size: var(--small); margin: 0; }
.preview iframe { display: block; width: 100%; height: 26rem; resize: vertical; background: #ffffff; border: 1px solid var(--edge); border-radius: 6px; }
form > .preview { scroll-margin-top: var(--s4); }
form:has(> .preview) > div { min-width: 0; }
.to-preview { margin: 0 0 var(--s2); }
@media (min-width: 68rem) { @supports selector(::details-content) {
  main.portal:has(form > .preview) { max-width: 76rem; }
  form:has(> .preview) { display: grid; gap: 0 var(--s6); grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
  form > .preview { grid-area: 1 / 2; position: sticky; top: var(--s4); align-self: start; margin: 0; }
  form:has(> .preview) > div { grid-area: 1 / 1; }
  .to-preview { display: none; }
  .preview::details-content { content-visibility: visible; display: block; block-size: auto; }
  .preview summary { display: none; }
  .preview .named { display: block; font-weight: 600; margin: 0; padding: calc(var(--s3) + .4rem) 0 var(--s2); } } }
svg.chart { display: block; max-width: 100%; }
svg.chart rect { fill: var(--bar); }
svg.chart rect.last { fill: var(--bar-last); }
svg.chart rect.bad { fill: var(--bar-bad); }
.axis { display: flex; justify-content: space-between; color: var(--soft); font-size: var(--small); margin: var(--s1) 0 0; }
.error { border-left: 4px solid var(--bad); padding: var(--s2) var(--s4); background: var(--paper); margin: 0 0 var(--s4); }

.scroll { overflow-x: auto; background: var(--paper); border: 1px solid var(--line); border-radius: var(--round); }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; padding: var(--s3) var(--s4); color: var(--soft); font-size: var(--small); }
tbody tr:hover { background: var(--wash); }
th, td { text-align: left; vertical-align: top; padding: .6rem var(--s4); border-top: 1px solid var(--line); }
thead th { border-top: 0; font-size: var(--small); font-weight: 600; color: var(--soft); white-space: nowrap; }
tbody th { font-weight: 500; }
td.n, th.n { text-align: right; }
thead a { color: inherit; display: inline-block; padding: .2rem 0; margin: -.2rem 0; }
th[aria-sort] a { color: var(--ink); }
th[aria-sort=ascending] a::after { content: " ↑"; content: " ↑" / ""; }
th[aria-sort=descending] a::after { content: " ↓"; content: " ↓" / ""; }
td, th, .empty, .lead, .error, .need p { overflow-wrap: anywhere; }
td, th, h1, h2, p, li, a { unicode-bidi: isolate; }
td.n, td time, th time { white-space: nowrap; }
@media (min-width: 44.01rem) { td .whole, th .whole { white-space: nowrap; } }
small.note { max-width: 22rem; }
td small, th small { display: block; color: var(--soft); font-weight: 400; font-size: var(--small); }
.state::before { content: "●"; content: "●" / ""; margin-right: .4em; color: var(--good); }
.state.done::before { content: "✓"; content: "✓" / ""; }
.state.held::before { content: "▲"; content: "▲" / ""; color: var(--warn); }
.state.fail::before { content: "■"; content: "■" / ""; color: var(--bad); }
.state.off::before { content: "○"; content: "○" / ""; color: var(--idle); }
.news { position: sticky; bottom: 0; max-width: 76rem; margin: 0 auto; padding: var(--s3) var(--s5); background: var(--paper);
  border: 1px solid var(--line); border-left: 4px solid var(--accent); border-radius: var(--round) var(--round) 0 0; }
.news:empty { padding: 0; border: 0; }
.pager { display: flex; justify-content: space-between; margin: var(--s3) 0 0; font-size: var(--small); color: var(--soft); }

button, .button { font: inherit; font-weight: 600; padding: .45rem 1rem; border-radius: 6px; border: 1px solid var(--edge);
  background: var(--paper); color: var(--ink); cursor: pointer; text-decoration: none; }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button.quiet { border: 0; background: none; color: var(--accent); padding: .2rem .3rem; font-weight: 500; }
input, select, textarea { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--edge);
  border-radius: 6px; padding: .45rem .6rem; }

@media (max-width: 44rem) {
  main { padding: var(--s4); }
  .crumb a, .pager a { display: inline-block; padding: .35rem 0; }
  :is(.field, .filters, .choice, td) input:is([type=checkbox], [type=radio]) { min-width: 1.5rem; min-height: 1.5rem; vertical-align: middle; }
  header.top { padding: var(--s3) var(--s4); }
  .line li, .field { grid-template-columns: minmax(0, 1fr); }
  .field .under, .field .problem, dl.both { grid-column: 1; }
  dl.both { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dl.both dt { font-size: var(--small); }
  dl.both dd + dt { margin-top: var(--s2); }
  dl.both button { padding-left: 0; text-align: left; }
  .search { width: 100%; }
  .search label { flex: 1 1 7.5rem; min-width: 0; }
  .search label:has([type=date]) { flex-basis: 9rem; }
  .search label :is(input, input[type=search]) { width: 100%; min-width: 0; }
  .axis { flex-wrap: wrap; gap: var(--s1) var(--s4); }
  .axis span:nth-child(2) { order: 1; flex-basis: 100%; }
  table.cards caption { display: block; }
  table.cards thead { position: absolute; left: -99em; }
  table.cards.ordered thead { position: static; display: block; }
  table.cards.ordered thead tr { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 var(--s4); border: 0; }
  table.cards.ordered thead tr::before { content: attr(data-label); color: var(--soft); font-size: var(--small); }
  table.cards.ordered thead th { display: block; padding: 0; }
  table.cards.ordered thead a { margin: 0; }
  table.cards.ordered thead th:not(:has(a)) { position: absolute; left: -99em; }
  table.cards tr { display: block; padding: var(--s3) var(--s4); border-top: 1px solid var(--line); }
  table.cards th, table.cards td { display: flow-root; border: 0; padding: .15rem 0 .15rem 7.5rem; text-align: left; }
  table.cards td.blank { display: none; }
  table.cards tbody th { font-size: 1rem; padding-left: 0; }
  table.cards td::before { content: attr(data-label); content: attr(data-label) / ""; float: left; width: 7rem; margin-left: -7.5rem; line-height: 1.75; color: var(--soft); font-size: var(--small); }
}
@media (forced-colors: active) { header.top nav a[aria-current], .tabs a[aria-current], .filters a[aria-current] { outline: 2px solid; } svg.chart rect { fill: CanvasText; } }
`;
