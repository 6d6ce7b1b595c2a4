"""The house style of pages: no scripts, nothing fetched, A4 in print."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1d2733; font: 16px/1.5 Arial, Helvetica, sans-serif; }
main, header, footer { max-width: 50rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; border-bottom: 3px solid #1f4e79; }
header p { margin: 0 0 .5rem; color: #55606b; }
header .seal { font-size: .82rem; margin-bottom: .25rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .25rem 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; color: #1f4e79; break-after: avoid; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; break-after: avoid; }
p, ul { margin: .5rem 0; }
ul { padding-left: 1.25rem; }
.verdict {
  border: 1px solid #c3cad1;
  border-left: 8px solid #55606b;
  padding: 1rem 1.25rem;
  margin-top: 1.5rem;
  break-inside: avoid;
}
.verdict p { margin: .25rem 0; }
.verdict .word {
  font-weight: bold;
  text-transform: uppercase;
  letter-spacing: .04em;
  font-size: .9rem;
  color: #3c4650;
}
.verdict .number { font-size: 2.1rem; line-height: 1.2; font-weight: bold; }
.verdict .number span { font-size: 1.05rem; font-weight: normal; }
.shown { border-left-color: #1b6e3c; } .shown .word { color: #1b6e3c; }
.harm, .invalid { border-left-color: #a4161a; } .harm .word, .invalid .word { color: #a4161a; }
.unclear { border-left-color: #7a4b00; } .unclear .word { color: #7a4b00; }
.invalid .number { color: #a4161a; }
.aside { color: #55606b; font-size: .9rem; }
table {
  border-collapse: collapse;
  width: 100%;
  margin: .75rem 0;
  font-size: .92rem;
  font-variant-numeric: tabular-nums;
  break-inside: avoid;
}
caption { text-align: left; font-weight: bold; padding-bottom: .35rem; }
caption span { font-weight: normal; color: #55606b; }
th, td { padding: .35rem .5rem; border-bottom: 1px solid #d5dae0; text-align: right; vertical-align: top; }
thead th { border-bottom: 2px solid #55606b; }
th:first-child, .words { text-align: left; }
tbody th { font-weight: normal; }
td { white-space: nowrap; }
tr.total th, tr.total td { font-weight: bold; }
tr.bad td { color: #a4161a; font-weight: bold; }
.wide { overflow-x: auto; }
figure { margin: .75rem 0 1rem; break-inside: avoid; }
figcaption { font-weight: bold; font-size: .92rem; margin-bottom: .35rem; }
figcaption span { font-weight: normal; color: #55606b; }
svg { display: block; height: auto; }
li, p { overflow-wrap: anywhere; }
code { font-family: Consolas, "Liberation Mono", monospace; font-size: .88em; overflow-wrap: anywhere; }
footer {
  padding-top: 1rem;
  padding-bottom: 2rem;
  margin-top: 2rem;
  border-top: 1px solid #d5dae0;
  color: #55606b;
  font-size: .85rem;
}
a { color: #1f4e79; }
@page { size: A4; margin: 15mm 16mm; }
@media print {
  body { font-size: 10.5pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  h2 { margin-top: 1.4rem; }
  .wide { overflow: visible; }
  table { font-size: 8.5pt; }
  th, td { padding: .25rem .3rem; }
}
"""
