// The pictures of a finding that the server draws.
export function pictures() {
  return null;
}
