// Every way that there is.
import { envoy, traefik } from './contracts.mjs';
import { libdeputy } from './library.mjs';
import { authRequest, caddy, extAuthz, forwardAuth, haproxy, nginx, nginxModule } from './ways.mjs';

export const direct = () => [authRequest(), forwardAuth(), extAuthz()];
export const proxies = () => [nginx(), nginxModule(), caddy(), haproxy(), envoy(), traefik()];
export const all = () => [...direct(), ...proxies()];
// An API of its own, with nothing behind it.
export const library = () => [libdeputy()];
