"""The page as a Jinja template with its own style: no scripts, nothing fetched, A4 in print."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1d2733; font: 16px/1.5 Arial, Helvetica, sans-serif; }
main, header, footer { max-width: 50rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; border-bottom: 3px solid #1f4e79; }
header p { margin: 0 0 .5rem; color: #55606b; }
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
}
"""

FRAME = """<!DOCTYPE html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
{{ body }}
</body>
</html>
"""

MACROS = """
{%- macro grid(caption, head, rows, note='') -%}
<div class="wide"><table>
<caption>{{ caption }}{% if note %} <span>{{ note }}</span>{% endif %}</caption>
<thead><tr>{% for word in head %}<th scope="col">{{ word }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for row in rows %}
<tr{% if row.mark %} class="{{ row.mark }}"{% endif %}><th scope="row">{{ row.label }}</th>
{%- for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody></table></div>
{%- endmacro -%}
{%- macro figure(caption, note, drawing) -%}
<figure><figcaption>{{ caption }} <span>{{ note }}</span></figcaption>{{ drawing }}</figure>
{%- endmacro -%}
"""

IMPACT = """
<header>
<p>{{ council }} &middot; impact report</p>
<h1>{{ title }}</h1>
<p>Measured {{ weeks }}. {{ stage }}</p>
</header>
<main>
<section aria-labelledby="headline-title" class="verdict {{ verdict.mark }}">
<h2 id="headline-title" style="margin-top:0" class="word">{{ verdict.word }}</h2>
{%- if headline %}
<p class="number">{{ headline.number }} <span>{{ headline.subject }}</span></p>
<p>95&nbsp;% interval: <strong>{{ headline.interval }}</strong>
{%- if headline.share %}. As a share: {{ headline.share }}{% endif %}</p>
{%- else %}
<p class="number">INVALID</p>
{%- endif %}
{%- for line in verdict.lines %}
<p>{{ line }}</p>
{%- endfor %}
</section>
{%- if headline %}
<p class="aside">{{ headline.basis }}</p>
<p class="aside">{{ headline.looks }}</p>
<h2>What it is worth</h2>
{%- if money %}
{{ grid('Tonnes, pounds and carbon', ['', 'Best estimate', '95 % interval'], money.rows, money.note) }}
<p>{{ money.claim }}</p>
<h3>Prices and sources</h3>
{{ grid('Disposal routes of residual waste', money.routes_head, money.routes) }}
<ul>{% for line in money.sources %}<li>{{ line }}</li>{% endfor %}</ul>
{%- else %}
<p>{{ money_note }}</p>
{%- endif %}
{%- endif %}
<h2>What was decided by lot</h2>
{%- for line in design %}
<p>{{ line }}</p>
{%- endfor %}
{{ grid('Households at each step, by group', flow.head, flow.rows, flow.note) }}
<h2>Checks that can void the result</h2>
{{ grid('Sample ratio: units counted against units expected', ratios.head, ratios.rows, ratios.note) }}
{{ grid('Reader outage: planned collections without a usable reading', outage.head, outage.rows, outage.note) }}
{{ grid('The two groups before any message', balance.head, balance.rows, balance.note) }}
{%- if weekly %}
<h2>Effect by week</h2>
{{ figure('Difference in each calendar week', weekly.note, weekly.drawing) }}
{{ grid('Effect by week', weekly.head, weekly.rows) }}
{%- endif %}
{%- if groups %}
<h2>By message and by segment: exploratory</h2>
<p>{{ groups.warning }}</p>
{{ figure('Difference by message and by segment', groups.note, groups.drawing) }}
{{ grid('Effects by message and by segment', groups.head, groups.rows, groups.table_note) }}
{%- endif %}
<h2>What was not measured</h2>
<ul>{% for line in not_measured %}<li>{{ line }}</li>{% endfor %}</ul>
<h2>How to check and re-run this page</h2>
<ul>{% for line in rerun %}<li>{{ line }}</li>{% endfor %}</ul>
</main>
<footer><p>{{ footer }}</p></footer>
"""

INDEX = """
<header><p>{{ council }}</p><h1>Impact of recycling messages</h1>
<p>Every campaign is listed, those without an effect and those that failed a check included.</p></header>
<main>
<div class="wide"><table>
<caption>Campaigns <span>newest measurement of each</span></caption>
<thead><tr><th scope="col">Campaign</th><th scope="col" class="words">Verdict</th>
<th scope="col">Effect (95 % interval)</th>
<th scope="col">Could have seen</th><th scope="col">Measured to</th></tr></thead>
<tbody>
{%- for entry in entries %}
<tr><th scope="row"><a href="{{ entry.href }}">{{ entry.title }}</a></th><td class="words">{{ entry.verdict }}</td>
<td>{{ entry.effect }}</td>
<td>{{ entry.detectable }}</td><td>{{ entry.week }}</td></tr>
{%- else %}
<tr><td colspan="5" class="words">No campaign has been measured yet.</td></tr>
{%- endfor %}
</tbody></table></div>
</main>
<footer><p>{{ footer }}</p></footer>
"""
