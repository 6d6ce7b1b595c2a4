"""The index of all campaigns and the page of a year as Jinja templates."""

from __future__ import annotations

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
{%- if years %}
<h2>By year</h2>
<ul>
{%- for year in years %}
<li><a href="{{ year }}.html">{{ year }}: every campaign and their sum</a></li>
{%- endfor %}
</ul>
{%- endif %}
</main>
<footer><p>{{ footer }}</p></footer>
"""

YEAR = """
<header><p>{{ council }} &middot; impact report of a year</p><h1>{{ title }}</h1>
<p>Every campaign measured in {{ year }} is listed, those without an effect and those that failed a check included.</p>
</header>
<main>
<h2>Together</h2>
{{ table('Sum of the campaigns of ' ~ year, sums) }}
<ul>{% for line in notes %}<li>{{ line }}</li>{% endfor %}</ul>
<h2>Each campaign</h2>
{{ figure('Effect of every campaign', 'square and line: change and 95 % interval; dashed: no change', drawing) }}
{{ table('Planned against found', listing) }}
<p>Planned to see: the smallest change the campaign was worked out to see before it started. Could see: the smallest
change it had an 80&nbsp;% chance to see in the end. A change smaller than that can be missed.</p>
<p><a href="index.html">All campaigns</a></p>
</main>
<footer><p>{{ footer }}</p></footer>
"""
