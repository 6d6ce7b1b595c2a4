"""The model card's page as a Jinja template in the house style."""

from __future__ import annotations

CARD = """
<header>
<p>{{ council }} &middot; model card</p>
<h1>{{ title }}</h1>
<p>{{ when }}</p>
</header>
<main>
<section aria-labelledby="decision-title" class="verdict {{ mark }}">
<h2 id="decision-title" style="margin-top:0" class="word">{{ word }}</h2>
{%- if number %}
<p class="number">{{ number }} <span>{{ subject }}</span></p>
{%- endif %}
{%- for line in lines %}
<p>{{ line }}</p>
{%- endfor %}
</section>
<p class="aside">{{ basis }}</p>
{%- if earned %}
<h2>What it would have earned</h2>
{{ figure('Against sending nothing', earned.note, earned.drawing) }}
{{ grid('Pounds for every 1,000 households, after the cost of messages', earned.head, earned.rows) }}
{%- endif %}
{%- if effects %}
<h2>What each message does</h2>
{{ grid('Mean effect against no message', effects.head, effects.rows, effects.note) }}
{%- endif %}
<h2>Which features matter</h2>
{%- for line in features %}
<p>{{ line }}</p>
{%- endfor %}
{%- if calibration %}
<h2>Are predictions right in size?</h2>
<p>{{ calibration.words }}</p>
{{ figure('Predicted and observed benefit', calibration.note, calibration.drawing) }}
{{ grid('Predicted and observed benefit, by size of the prediction', calibration.head, calibration.rows) }}
{%- endif %}
{%- if path %}
<h2>What each budget brings</h2>
{{ figure('Gain of the model by money spent', path.note, path.drawing) }}
{{ grid('Gain of the model by money spent', path.head, path.rows) }}
{%- endif %}
<h2>How groups are treated</h2>
{%- for line in groups.lines %}
<p>{{ line }}</p>
{%- endfor %}
{%- if groups.rows %}
{{ grid('Share messaged and gain, by group', groups.head, groups.rows, groups.note) }}
{%- endif %}
{%- if stops %}
{{ grid('Messages stopped because they make things worse', stops.head, stops.rows, stops.note) }}
{%- endif %}
{%- if tree %}
<h2>A rule in two questions</h2>
<ul>{% for line in tree.sentences %}<li>{{ line }}</li>{% endfor %}</ul>
<p>{{ tree.words }}</p>
{%- endif %}
<h2>Checks</h2>
<ul>{% for line in checks %}<li>{{ line }}</li>{% endfor %}</ul>
<h2>Limits</h2>
<ul>{% for line in limits %}<li>{{ line }}</li>{% endfor %}</ul>
</main>
<footer><p>{{ footer }}</p></footer>
"""
