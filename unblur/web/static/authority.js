// By what right a page asks: a token that it was given, or the session of whoever is signed in, to which the page shows
// that it is theirs.

const CSRF = document.querySelector('meta[name="csrf"]').content;
const USER = document.querySelector('meta[name="user"]').content;

export function authority(token) {
  return token ? { Authorization: `Bearer ${token}` } : { "X-CSRF-Token": CSRF };
}

// A session that has ended begins anew where it was; and so does what began before there was an account.
export function enter(response) {
  if (USER && response?.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}
