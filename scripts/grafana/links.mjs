/** Links from the dashboard to the documentation. */

/** The variable `docs` has the base URL; a link would escape it without `raw`. */
const DOCS = '$' + '{docs:raw}';

/** @type {Readonly<Record<string, string>>} */
const PAGES = {
  Runbook: 'runbook.md',
  Reasons: 'reasons.md',
  Metrics: 'metrics.md',
  Rollout: 'rollout.md',
  Rotation: 'rotation.md',
};

/** @param {string} page a key of PAGES */
export function linkToPage(page) {
  return link(page, `${DOCS}/${PAGES[page]}`);
}

/** @param {string} alert */
export function linkToAlert(alert) {
  return link(`Runbook: ${alert}`, `${DOCS}/runbook.md#${alert.toLowerCase()}`);
}

/** The links at the top of the dashboard. */
export function dashboardLinks() {
  return ['Runbook', 'Reasons', 'Metrics'].map(linkToPage);
}

/**
 * @param {string} title
 * @param {string} url
 */
function link(title, url) {
  return {
    title,
    type: 'link',
    url,
    icon: 'doc',
    tooltip: '',
    tags: [],
    asDropdown: false,
    includeVars: false,
    keepTime: false,
    targetBlank: true,
  };
}
