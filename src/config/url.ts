/** Tests URLs of the configuration and of redirects. */

/** Whether a URL has a user name or password, which logs and pages that show the URL would reveal. */
export function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}
