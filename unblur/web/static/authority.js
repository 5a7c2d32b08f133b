// By what right a page asks: a token that it was given, or the session of whoever is signed in, to which the page shows
// that it is theirs.

const CSRF = document.querySelector('meta[name="csrf"]').content;

export function authority(token) {
  return token ? { Authorization: `Bearer ${token}` } : { "X-CSRF-Token": CSRF };
}

// A session that has ended begins anew where it was.
export function enter(response) {
  if (CSRF && response?.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}
