"""axe-core, the checker of accessibility, and what of it is asked."""

from __future__ import annotations

# Findings of the page it is evaluated in, as strings.
FINDINGS = """async () => (await axe.run(document, {
    resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
})).violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 160)}`))"""
