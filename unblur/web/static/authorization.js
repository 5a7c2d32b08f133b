// By what right a page asks, and where: a token that it was given, or the session of whoever is signed in, to which the
// page shows that it is theirs; below the path prefix under which a proxy publishes the application.

const CSRF = document.querySelector('meta[name="csrf"]').content;
const USER = document.querySelector('meta[name="user"]').content;

export const PREFIX = document.documentElement.dataset.prefix;

export function authority(token) {
  return token ? { Authorization: `Bearer ${token}` } : { "X-CSRF-Token": CSRF };
}

// A session that has ended begins anew where it was; and so does what began before there was an account.
export function enter(response) {
  if (!USER || response?.status !== 401) return;
  const here = location.pathname.slice(PREFIX.length) + location.search;
  location.assign(`${PREFIX}/login?next=${encodeURIComponent(here)}`);
}
