"""What every page has around and inside it, as Jinja templates: the frame, tables and figures."""

from __future__ import annotations

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
{%- macro table(caption, grid_of) -%}
{{ grid(caption, grid_of.head, grid_of.rows, grid_of.note) }}
{%- endmacro -%}
{%- macro figure(caption, note, drawing) -%}
<figure><figcaption>{{ caption }} <span>{{ note }}</span></figcaption>{{ drawing }}</figure>
{%- endmacro -%}
"""
