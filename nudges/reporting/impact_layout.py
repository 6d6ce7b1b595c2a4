"""The impact page as a Jinja template: the same sections in the same order for every result."""

from __future__ import annotations

IMPACT = """
<header>
<p>{{ council }} &middot; impact report</p>
<h1>{{ title }}</h1>
<p>Measured {{ weeks }}. {{ stage }}</p>
{%- for line in settled %}
<p class="seal">{{ line }}</p>
{%- endfor %}
</header>
<main>
<section aria-labelledby="headline-title" class="verdict {{ verdict.mark }}">
<h2 id="headline-title" style="margin-top:0" class="word">{{ verdict.word }}</h2>
{%- if headline %}
<p class="number">{{ headline.number }} <span>{{ headline.subject }}</span></p>
<p>95&nbsp;% interval: <strong>{{ headline.interval }}</strong>
{%- if headline.share %}. As a share: {{ headline.share }}{% endif %}</p>
<p>{{ headline.look }}</p>
{%- elif verdict.stamp %}
<p class="number">{{ verdict.stamp }}</p>
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
{{ table('Tonnes, pounds and carbon', money.grid) }}
<p>{{ money.claim }}</p>
<h3>Is it cash?</h3>
{%- for line in money.cash %}
<p>{{ line }}</p>
{%- endfor %}
<h3>Prices and sources</h3>
{{ table('Disposal routes of residual waste', money.routes) }}
<ul>{% for line in money.sources %}<li>{{ line }}</li>{% endfor %}</ul>
{%- else %}
<p>{{ money_note }}</p>
{%- endif %}
{%- endif %}
<h2>What was decided by lot</h2>
{%- for line in design %}
<p>{{ line }}</p>
{%- endfor %}
<h2>From the draw to the comparison</h2>
{{ figure('Households by group', flow.note, flow.drawing) }}
{{ table('Households at each step, by group', flow.grid) }}
<h2>Checks that can void the result</h2>
{{ table('Sample ratio: ' ~ unit_word ~ ' counted against ' ~ unit_word ~ ' expected', ratios) }}
{{ table('What was lost or crossed over', losses) }}
{{ table('The two groups before any message', balance) }}
<h2>Messages that arrived</h2>
{%- if dose.drawing %}
{{ figure('Messages delivered to a household', dose.note, dose.drawing) }}
{%- else %}
<p>No message has been reported as delivered yet.</p>
{%- endif %}
{%- for line in dose.lines %}
<p>{{ line }}</p>
{%- endfor %}
{%- if robustness %}
<h2>The same question asked in other ways</h2>
{{ figure('Other estimates of the headline', robustness.note, robustness.drawing) }}
{%- for line in robustness.lines %}
<p>{{ line }}</p>
{%- endfor %}
{%- endif %}
{%- if weighbridge %}
<h2>What the weighbridge says</h2>
{%- for line in weighbridge.lines %}
<p>{{ line }}</p>
{%- endfor %}
{{ table('Bins and lorries', weighbridge.grid) }}
{%- endif %}
{%- if weekly %}
<h2>Effect by week</h2>
{{ figure('Difference in each calendar week', weekly.note, weekly.drawing) }}
{{ table('Effect by week', weekly.grid) }}
{%- endif %}
{%- if decay %}
<h2>Does it last?</h2>
{{ figure('Difference by weeks since the messages', decay.note, decay.drawing) }}
{{ table('Effect by weeks since the messages', decay.grid) }}
{%- for line in decay.lines %}
<p>{{ line }}</p>
{%- endfor %}
{%- endif %}
{%- if groups %}
<h2>By message and by segment: exploratory</h2>
<p>{{ groups.warning }}</p>
{%- if groups.drawing %}
{{ figure('Difference by message and by segment', groups.note, groups.drawing) }}
{{ table('Effects by message and by segment', groups.grid) }}
{%- endif %}
{%- endif %}
<h2>Did neighbours change too?</h2>
{%- for line in spillover %}
<p>{{ line }}</p>
{%- endfor %}
<h2>Did anything get worse?</h2>
{%- if guardrails.grid %}
{{ table('Outcomes the campaign was not meant to change', guardrails.grid) }}
{%- endif %}
<ul>{% for line in guardrails.lines %}<li>{{ line }}</li>{% endfor %}</ul>
<h2>What was not measured</h2>
<ul>{% for line in not_measured %}<li>{{ line }}</li>{% endfor %}</ul>
{%- if campaigns %}
<h2>Every campaign of {{ year }}</h2>
{{ table('Planned against found, campaigns without an effect included', campaigns) }}
<p><a href="../{{ year }}.html">The year {{ year }}: totals and intervals</a></p>
{%- endif %}
<h2>Was the plan followed? {{ plan.word }}</h2>
{%- for line in plan.lines %}
<p>{{ line }}</p>
{%- endfor %}
{%- if plan.deviations %}
<ul>{% for line in plan.deviations %}<li>{{ line }}</li>{% endfor %}</ul>
{%- endif %}
<h2>How to check and re-run this page</h2>
<ul>{% for line in rerun %}<li>{{ line }}</li>{% endfor %}</ul>
</main>
<footer><p>{{ footer }}</p></footer>
"""
