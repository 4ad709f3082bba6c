# What bench/run and bench/smoke share: servers that are started, set up and stopped, and the requests of each kind.
# Wants $build and a function one NAME LOAD-ARGUMENTS...
load=$build/bench/bench_load
baseline=$build/bench/bench_baseline
work=$(mktemp -d "$build/bench-XXXXXX")
pids=
pin= # put before servers; bench/run pins them to one core

finish() {
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  for pid in $pids; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM
say() { echo "$*" >&2; }
fail() { say "bench: $*"; exit 1; }

# start NAME PATTERN COMMAND...: waits until PATTERN stands in its output; sets $started.
start() {
  name=$1 pattern=$2
  shift 2
  : > "$work/$name.out"
  : > "$work/$name.err"
  $pin "$@" > "$work/$name.out" 2> "$work/$name.err" &
  started=$!
  pids="$pids $started"
  tries=0
  until grep -q "$pattern" "$work/$name.out" "$work/$name.err"; do
    kill -0 "$started" 2>/dev/null || { cat "$work/$name.err" >&2; return 1; }
    tries=$((tries + 1))
    [ $tries -lt 500 ] || fail "$name does not get ready"
    sleep 0.02
  done
}
stop() {
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# ---- deputyd with one agent, two clients, one resource ----

resource=https://api.example/bench
port=$((20000 + $$ % 20000))
start_deputyd() {
  mkdir -p -m 700 "$work/$1"
  cat > "$work/$1.yaml" <<CONFIG
issuer: http://127.0.0.1:$port
listen: 127.0.0.1:$port
data_dir: $work/$1
workers: 1
CONFIG
  start deputyd 'deputyd ready' "$build/deputyd" --config "$work/$1.yaml" || return 1
  deputyd=$started
}
admin() {
  curl -sS -f --unix-socket "$work/as/admin.sock" -H 'Content-Type: application/json' -d "$2" "http://localhost/admin/v1/$1"
}
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }
set_up() {
  tries=0
  until start_deputyd as; do
    tries=$((tries + 1))
    [ $tries -lt 5 ] || fail 'deputyd does not start'
    port=$((port + 1))
  done
  admin resources "{\"id\":\"$resource\",\"name\":\"bench\",\"scopes\":[\"bench:read\",\"bench:write\"]}" > /dev/null
  agent=$(admin agents "{\"name\":\"bench\",\"owner\":\"bench\",\"org\":\"bench\",\"ceiling\":[{\"resource\":\"$resource\",\"scopes\":[\"bench:read\",\"bench:write\"]}]}" | member id)
  created=$(admin clients "{\"name\":\"basic\",\"agent\":\"$agent\",\"auth\":\"client_secret_basic\"}")
  client=$(echo "$created" | member id)
  basic="Authorization: Basic $(printf '%s:%s' "$client" "$(echo "$created" | member client_secret)" | base64 | tr -d '\n')"
  jwks=$("$load" --new-key "$work/client.key")
  key_client=$(admin clients "{\"name\":\"key\",\"agent\":\"$agent\",\"auth\":\"private_key_jwt\",\"jwks\":$jwks}" | member id)
  created=$(admin clients "{\"name\":\"guard\",\"resource\":\"$resource\",\"auth\":\"client_secret_basic\"}")
  guard_client=$(echo "$created" | member id)
  (umask 077; echo "$created" | member client_secret | tr -d '\n' > "$work/guard.secret")
  [ -n "$agent" ] && [ -n "$client" ] && [ -n "$key_client" ] && [ -n "$guard_client" ] || fail 'the admin API did not answer as expected'
}

form='Content-Type: application/x-www-form-urlencoded'
body="grant_type=client_credentials&scope=bench%3Aread&resource=https%3A%2F%2Fapi.example%2Fbench"
token_url() { echo "http://127.0.0.1:$port/oauth/token"; }
# Requests: $1 is the address.
plain() { name=$1; to=$2; shift 2; one "$name" --tcp "$to" --path /oauth/token --header "$form" --header "$basic" --body "$body" "$@"; }
proof() { name=$1; to=$2; shift 2; plain "$name" "$to" --dpop "$(token_url)" "$@"; }
assertion() {
  name=$1 to=$2
  shift 2
  one "$name" --tcp "$to" --path /oauth/token --header "$form" --body "$body" --assertion "$key_client" \
    --audience "http://127.0.0.1:$port" --assertion-key "$work/client.key" "$@"
}


# ---- exchange ----

# A chain of nine agents, each handing over to the next: what the last one exchanges has seven actors, and its result eight.
chain_length=8
exchange_grant='grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange'
access_token_type='subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token'
target='scope=bench%3Aread&resource=https%3A%2F%2Fapi.example%2Fbench'
set_up_chain() {
  i=0
  while [ $i -le $chain_length ]; do
    id=$(admin agents "{\"name\":\"link-$i\",\"owner\":\"bench\",\"org\":\"bench\",\"ceiling\":[{\"resource\":\"$resource\",\"scopes\":[\"bench:read\",\"bench:write\"]}]}" | member id)
    created=$(admin clients "{\"name\":\"link-$i\",\"agent\":\"$id\",\"auth\":\"client_secret_basic\"}")
    eval "link_$i=\$id"
    eval "link_basic_$i=\"Authorization: Basic \$(printf '%s:%s' \"\$(echo \"\$created\" | member id)\" \"\$(echo \"\$created\" | member client_secret)\" | base64 | tr -d '\n')\""
    i=$((i + 1))
  done
}
# token_of BASIC BODY: one access token.
token_of() { curl -sS -f -H "$form" -H "$1" --data-raw "$2" "$(token_url)" | member access_token; }
# Fresh subject tokens, as long as they live: sets $narrow, $depth_1 and $depth_8, bodies of exchanges, and whose they are.
get_subjects() {
  narrow="$exchange_grant&$access_token_type&$target&subject_token=$(token_of "$basic" "grant_type=client_credentials&resource=https%3A%2F%2Fapi.example%2Fbench")"
  eval "subject=\$(token_of \"\$link_basic_0\" 'grant_type=client_credentials&scope=bench%3Aread&audience=agent%3A${link_1#agent:}')"
  i=1
  while [ $i -le $chain_length ]; do
    eval "depth_$i=\"$exchange_grant&$access_token_type&$target&subject_token=\$subject\""
    [ $i -eq $chain_length ] || eval "subject=\$(token_of \"\$link_basic_$i\" \"$exchange_grant&$access_token_type&scope=bench%3Aread&audience=agent%3A\${link_$((i + 1))#agent:}&subject_token=\$subject\")"
    [ -n "$subject" ] || fail "the chain breaks at $i"
    i=$((i + 1))
  done
}
# exchange NAME BASIC BODY LOAD-ARGUMENTS...
exchange() { exchange_at "127.0.0.1:$port" "$@"; }
exchange_at() {
  to=$1 name=$2 as=$3 with=$4
  shift 4
  one "$name" --tcp "$to" --path /oauth/token --header "$form" --header "$as" --body "$with" "$@"
}

# ---- the guard ----

# start_guard [NAME ARGUMENTS...]: listens on $work/NAME.sock.
start_guard() {
  guard_name=${1:-guard}
  [ $# -eq 0 ] || shift
  [ -f "$work/proof.key" ] || "$load" --new-key "$work/proof.key" > /dev/null
  start "$guard_name" 'listen' "$build/deputy" guard run --resource "$resource" --issuer "http://127.0.0.1:$port" \
    --listen "unix:$work/$guard_name.sock" --client "$guard_client" --secret "file:$work/guard.secret" --audit "$work/$guard_name-audit" "$@"
  tries=0
  until [ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$work/$guard_name.sock" http://localhost/readyz)" = 200 ]; do
    tries=$((tries + 1))
    [ $tries -lt 250 ] || fail 'the guard does not get ready'
    sleep 0.02
  done
}
# 256 rules, as many as there may be; the last one is about what is asked.
write_rules() { # FILE
  {
    echo 'rules:'
    i=1
    while [ $i -lt 256 ]; do
      echo "  - {name: r$i, methods: [GET, POST], path: /api/v1/things-$i/*/parts/**, scopes: 'bench:write'}"
      i=$((i + 1))
    done
    echo "  - {name: last, methods: [GET], path: /bench, scopes: 'bench:read'}"
  } > "$1"
}
ask() { name=$1; to=$2; shift 2; one "$name" --unix "$to" --path /authz/auth-request --method GET \
  --header 'X-Original-Method: GET' --header 'X-Original-URL: https://api.example/bench' "$@"; }
# 64 tokens to present, plain ones and bound ones, and in $bound what a request with a bound one and a proof takes.
get_plain_tokens() {
  "$load" --tcp "127.0.0.1:$port" --path /oauth/token --header "$form" --header "$basic" --body "$body" --requests 64 \
    --save "$work/tokens" > /dev/null || fail 'no tokens'
}
get_tokens() {
  get_plain_tokens
  "$load" --tcp "127.0.0.1:$port" --path /oauth/token --header "$form" --header "$basic" --body "$body" --requests 64 \
    --dpop "$(token_url)" --key "$work/proof.key" --save "$work/bound" > /dev/null || fail 'no bound tokens'
  bound="--tokens $work/bound --scheme DPoP --dpop https://api.example/bench --dpop-method GET --key $work/proof.key --learn-nonce"
}
