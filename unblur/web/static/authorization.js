// How a page's requests are authorized: by an access token, or by the session and its CSRF token; and the path prefix
// under which a proxy publishes the application.

const CSRF = document.querySelector('meta[name="csrf"]').content;
const USER = document.querySelector('meta[name="user"]').content;

export const PREFIX = document.documentElement.dataset.prefix;

export function authority(token) {
  return token ? { Authorization: `Bearer ${token}` } : { "X-CSRF-Token": CSRF };
}

// A session that has expired, or a page from before the first account, goes to the login page and returns.
export function enter(response) {
  if (!USER || response?.status !== 401) return;
  const here = location.pathname.slice(PREFIX.length) + location.search;
  location.assign(`${PREFIX}/login?next=${encodeURIComponent(here)}`);
}
