#include "cli/html/style.h"

namespace tca::cli::html {
namespace {

// c0 to c6: series, c0 what others are compared with. h0 to h7: grounds of heat maps, on0 to on7 the text on them.
constexpr std::string_view kStyleSheet = R"css(
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --text: #1b1f24; --muted: #57606a; --rule: #dcdfe3; --grid: #e9ebee;
  --axis: #8c959f; --link: #0b5cad; --good: #116329; --bad: #a40e26;
  --c0: #57606a; --c1: #0b5cad; --c2: #b14a06; --c3: #15703a; --c4: #7c3aed; --c5: #b0173f; --c6: #0f6f78;
  --h0: #f1f5f9; --h1: #dce8f4; --h2: #bfd7ed; --h3: #98bfe3; --h4: #2f73b5; --h5: #205b98; --h6: #144577; --h7: #0a2f58;
  --low: #12263c; --high: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #111418; --card: #191d23; --text: #e6e9ed; --muted: #a2abb6; --rule: #323944; --grid: #272d36;
    --axis: #707a87; --link: #82bcff; --good: #6fd08c; --bad: #ff9aa8;
    --c0: #a2abb6; --c1: #74b3fb; --c2: #f2a35e; --c3: #69cf8d; --c4: #c2a6ff; --c5: #ff91a6; --c6: #5ccfd6;
    --h0: #222932; --h1: #22364c; --h2: #254568; --h3: #2b5685; --h4: #74abe0; --h5: #92c0ea; --h6: #b4d5f4; --h7: #d9ebfc;
    --low: #e9f2fb; --high: #0b1a2a;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
main, header, footer { max-width: 76rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2.5rem; }
footer { padding: 1.5rem 1rem 3rem; color: var(--muted); font-size: 0.875rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0.25rem 0 0.75rem; letter-spacing: -0.015em; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 0.5rem; letter-spacing: -0.005em; }
h3 { font-size: 1.02rem; margin: 1.75rem 0 0.5rem; }
p { margin: 0 0 1rem; max-width: 46rem; }
.kind { margin: 0; color: var(--muted); font-size: 0.875rem; letter-spacing: 0.04em; }
.lead { font-size: 1.1rem; }
.note { color: var(--muted); font-size: 0.9rem; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 1.5rem; margin: 1.25rem 0; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; padding: 0; margin: 1rem 0 0; }
a { color: var(--link); text-underline-offset: 0.2em; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.9rem 1.5rem; margin: 0; }
dl.facts dt { color: var(--muted); font-size: 0.8125rem; }
dl.facts dd { margin: 0; }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; min-width: min(100%, 46rem); }
.caption { color: var(--muted); font-size: 0.875rem; margin: 1.1rem 0 -0.6rem; }
th, td { padding: 0.45rem 0 0.45rem 1.4rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--grid); overflow-wrap: normal; }
th:first-child { padding-left: 0; }
thead th { color: var(--muted); font-weight: 500; border-bottom-color: var(--axis); vertical-align: bottom; }
tbody th { font-weight: 600; position: sticky; left: 0; background: var(--card); }
tbody tr:last-child > * { border-bottom: 0; }
.number { text-align: right; }
.interval { color: var(--muted); font-size: 0.8125rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1.5rem 2rem; }
.maps { display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem; align-items: flex-start; margin-bottom: 1.5rem; }
.maps figure { max-width: 100%; overflow-x: auto; }
.maps svg { max-width: none; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: 0.9375rem; margin-bottom: 0.35rem; }
figure svg { display: block; max-width: 100%; height: auto; }
.charts figure svg { width: 100%; max-width: 27rem; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--muted); font-variant-numeric: tabular-nums; }
svg text.value { fill: var(--text); }
svg .grid { stroke: var(--grid); }
svg .axis { stroke: var(--axis); }
svg .c0 { --color: var(--c0); } svg .c1 { --color: var(--c1); } svg .c2 { --color: var(--c2); } svg .c3 { --color: var(--c3); }
svg .c4 { --color: var(--c4); } svg .c5 { --color: var(--c5); } svg .c6 { --color: var(--c6); }
svg.c0 { --color: var(--c0); } svg.c1 { --color: var(--c1); } svg.c2 { --color: var(--c2); } svg.c3 { --color: var(--c3); }
svg.c4 { --color: var(--c4); } svg.c5 { --color: var(--c5); } svg.c6 { --color: var(--c6); }
svg circle, svg rect, svg polygon { fill: var(--color); stroke: var(--card); stroke-width: 1; }
svg polyline { fill: none; stroke: var(--color); stroke-width: 2; stroke-linejoin: round; }
svg .whisker { stroke: var(--color); stroke-width: 1.25; opacity: 0.75; }
svg .lead { stroke: var(--color); stroke-width: 0.75; opacity: 0.6; }
svg g text.name { fill: var(--color); font-weight: 600; }
svg .h0 { fill: var(--h0); } svg .h1 { fill: var(--h1); } svg .h2 { fill: var(--h2); } svg .h3 { fill: var(--h3); }
svg .h4 { fill: var(--h4); } svg .h5 { fill: var(--h5); } svg .h6 { fill: var(--h6); } svg .h7 { fill: var(--h7); }
svg .on0, svg .on1, svg .on2, svg .on3 { fill: var(--low); }
svg .on4, svg .on5, svg .on6, svg .on7 { fill: var(--high); }
ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0.3rem 1.25rem; padding: 0; margin: 0.5rem 0 1rem; font-size: 0.9rem; }
ul.legend svg { vertical-align: -1px; margin-right: 0.45rem; }
details { margin: 1rem 0 0; }
summary { cursor: pointer; font-weight: 600; padding: 0.35rem 0; }
pre { white-space: pre-wrap; margin: 0.5rem 0; padding: 0.85rem 1rem; background: var(--page); border: 1px solid var(--rule); border-radius: 6px; font-size: 0.84rem; line-height: 1.5; }
.answers { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); gap: 1rem; margin-top: 0.75rem; }
article { border: 1px solid var(--rule); border-radius: 8px; padding: 0.9rem 1rem; min-width: 0; }
article h4 { margin: 0.1rem 0 0.35rem; font-size: 0.97rem; line-height: 1.4; }
article p { margin: 0 0 0.6rem; font-size: 0.9rem; }
article .note { font-size: 0.8125rem; margin: 0; }
article dl { margin: 0; font-size: 0.9rem; }
article dl > div { display: grid; grid-template-columns: 6.5rem 1fr; gap: 0 0.75rem; padding: 0.35rem 0; border-top: 1px solid var(--grid); }
article dt { font-weight: 600; }
article dd { margin: 0; }
.verdict { display: block; font-size: 0.8125rem; font-weight: 400; }
.right { color: var(--good); }
.wrong { color: var(--bad); }
bdi { white-space: pre-line; }
@media (max-width: 40rem) {
  header { padding-top: 1.5rem; }
  h1 { font-size: 1.6rem; }
  section { padding: 1.1rem 0.9rem; margin: 0.9rem -0.5rem; }
  article dl > div { grid-template-columns: 5.5rem 1fr; }
}
@media print { body { background: none; } section { break-inside: auto; border: 0; padding: 0; } }
)css";

}  // namespace

std::string_view style_sheet() { return kStyleSheet; }

}  // namespace tca::cli::html
