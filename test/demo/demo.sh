#!/bin/sh
# The main job of deputy, step by step, on loopback: an agent gets a bound token, hands it on, a sub-agent calls a guarded API with it,
# a replay and a ban are refused, and the audit log tells the story. Exit 0 only if each step went as it should.
#
# DEPUTY_BIN is the folder with deputyd and deputy. Everything happens in a temporary folder; nothing is left behind.
set -eu

bin=${DEPUTY_BIN:?DEPUTY_BIN: the folder with deputyd and deputy}
bin=$(cd "$bin" && pwd)
PATH=$bin:$PATH:/usr/sbin:/sbin
export PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/deputy-demo.XXXXXX")
pids=
cd "$work"

finish() {
    status=$?
    trap - EXIT INT TERM
    # The last started goes first: nginx, guard, server.
    for pid in $pids; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ "$status" -ne 0 ] && [ -n "${DEMO_VERBOSE:-}" ]; then
        tail -n 20 ./*.log >&2 || true
    fi
    cd /
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- how it is shown

number=0
step() {
    number=$((number + 1))
    printf '\n\033[1m%s. %s\033[0m\n' "$number" "$*"
}
[ -t 1 ] || step() {
    number=$((number + 1))
    printf '\n%s. %s\n' "$number" "$*"
}

show() {
    printf '$'
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./:=,@+-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
}

# Shows a command, runs it, shows what it said; the words stay in $said, the code in $code.
try() {
    show "$@"
    code=0
    "$@" >said 2>&1 || code=$?
    said=$(cat said)
    [ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/    /'
}

fail() {
    printf '\nthe demo failed: %s\n' "$*" >&2
    tail -n 5 ./*.log >&2 2>/dev/null || true
    exit 1
}

run() {
    try "$@"
    [ "$code" -eq 0 ] || fail "exit code $code of: $*"
}

# The same, but of the answer only the lines that matter here.
brief() {
    lines=$1
    shift
    show "$@"
    "$@" >said 2>&1 || fail "exit code $? of: $*: $(cat said)"
    said=$(cat said)
    grep -E "^($lines) " said | sed 's/^/    /'
}

# A value of the last answer: "name  value".
field() { sed -n "s/^$1  *//p" said | head -n 1; }

expect() {
    case $said in
    *"$1"*) ;;
    *) fail "the answer has no '$1'" ;;
    esac
}

# A port to try: loopback, chosen by chance, tried again by the caller when somebody has it.
some_port() { echo $((20000 + ($(od -An -N2 -tu2 /dev/urandom) % 12000))); }

# One where nobody listens: curl cannot connect (7).
free_port() {
    while :; do
        candidate=$(some_port)
        refusal=0
        curl -s -o /dev/null --max-time 1 "http://127.0.0.1:$candidate" || refusal=$?
        [ "$refusal" -ne 7 ] || break
    done
    echo "$candidate"
}

# Waits until the command succeeds, at most ten seconds, or until the process has gone.
await() {
    waited=0
    pid=$1
    shift
    until "$@" >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null || return 1
        waited=$((waited + 1))
        [ "$waited" -lt 200 ] || return 1
        sleep 0.05
    done
}

now_ms() { date +%s%3N; }

# --- 1: the server

start_server() {
    for _ in 1 2 3 4 5 6 7 8; do
        port=$(some_port)
        cat >deputyd.yaml <<END
issuer: http://127.0.0.1:$port
listen: 127.0.0.1:$port
data_dir: $work/data
END
        deputyd --config deputyd.yaml >deputyd.log 2>&1 &
        pid=$!
        if await "$pid" grep -q ready deputyd.log; then
            pids="$pid $pids"
            return 0
        fi
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    fail 'deputyd does not start'
}

step 'Start the authorization server'
start_server
DEPUTY_URL=http://127.0.0.1:$port
DEPUTY_ADMIN_SOCKET=data/admin.sock
DEPUTY_FORMAT=table
export DEPUTY_URL DEPUTY_ADMIN_SOCKET DEPUTY_FORMAT
show deputyd --config deputyd.yaml
sed 's/^/    /' deputyd.log

# --- 2: who is who

api_port=$(free_port)
api=http://127.0.0.1:$api_port/calendar

step 'Register an API, three agents and their credentials'
brief 'id|scopes|needs_dpop' deputy resource create "$api" --name Calendar --scopes 'cal:read cal:write' --needs-dpop
brief 'id|parent|ceiling' deputy agent create --name assistant --owner alice@example.com --purpose "speaks for Alice" --ceiling "$api cal:read cal:write"
assistant=$(field id)
brief 'id|parent|ceiling' deputy agent create --name orchestrator --owner alice@example.com --ceiling "$api cal:read cal:write"
orchestrator=$(field id)
brief 'id|parent|ceiling' deputy agent create --name worker --owner alice@example.com --parent orchestrator --ceiling "$api cal:read"
worker=$(field id)
deputy token key --out assistant.pem >/dev/null
deputy token key --out orchestrator.pem >/dev/null
brief 'jkt|alg' deputy token key --out worker.pem
deputy client create --agent assistant --secret-out assistant.secret >said && assistant_client=$(field id)
deputy client create --agent orchestrator --secret-out orchestrator.secret >said && orchestrator_client=$(field id)
brief 'id|auth|client_secret' deputy client create --agent worker --secret-out worker.secret
worker_client=$(field id)
deputy client create --resource "$api" --name guard --secret-out guard.secret >said && guard_client=$(field id)
run deputy agent tree

# --- 3: the guard and nginx

write_nginx() {
    cat >nginx.conf <<END
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
worker_processes 1;
pid nginx.pid;
error_log nginx.log;
daemon off;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {                                   # the API itself: it answers with what it was told
    listen unix:$work/app.sock;
    default_type text/plain;
    location / {
      return 200 "two meetings today\nDeputy-Subject: \$http_deputy_subject\nDeputy-Actor: \$http_deputy_actor\nDeputy-Actor-Chain: \$http_deputy_actor_chain\nDeputy-Scope: \$http_deputy_scope\nDeputy-Task: \$http_deputy_task\nAuthorization: \$http_authorization\n";
    }
  }
  include $work/deputy.conf;
}
END
}

step 'Put a guard in front of the API: nginx asks it about each request'
show deputy guard run --resource "$api" --listen unix:guard.sock --client "$guard_client" --secret file:guard.secret --audit guard-audit
deputy guard run --resource "$api" --listen "unix:$work/guard.sock" --client "$guard_client" --secret file:guard.secret \
    --audit guard-audit --needs-dpop --scopes-offered 'cal:read cal:write' >guard.log 2>&1 &
guard_pid=$!
pids="$guard_pid $pids"
await "$guard_pid" curl -fsS --unix-socket guard.sock http://guard/readyz || fail 'the guard does not get ready'
write_nginx
set -- deputy guard snippet nginx --resource "$api" --guard "unix:$work/guard.sock" --upstream "unix:$work/app.sock" --listen "127.0.0.1:$api_port"
show "$@"
"$@" >deputy.conf
show nginx -c nginx.conf
nginx -p "$work" -c "$work/nginx.conf" >nginx.log 2>&1 &
nginx_pid=$!
pids="$nginx_pid $pids"
await "$nginx_pid" curl -sS -o /dev/null "$api" || fail "nginx does not start on port $api_port"
run curl -sS "http://127.0.0.1:$api_port/.well-known/oauth-protected-resource/calendar"
expect '"resource"'
printf '\n'

# --- 4: tokens

step 'The assistant gets a token that is bound to its key, for the orchestrator and for one task'
run deputy token get --client "$assistant_client" --secret file:assistant.secret --dpop-key file:assistant.pem \
    --audience "$orchestrator" --scope 'cal:read cal:write' --task trip-42 --instruction 'Find me a free hour today' --out assistant.token
expect DPoP

step 'The orchestrator hands the task on to the worker, with less'
run deputy token exchange --client "$orchestrator_client" --secret file:orchestrator.secret --dpop-key file:orchestrator.pem \
    --subject-token file:assistant.token --audience "$worker" --scope cal:read --task trip-42.find --out orchestrator.token

step 'The worker exchanges it for the API; asking for more than it was given is refused, not narrowed'
try deputy token exchange --client "$worker_client" --secret file:worker.secret --dpop-key file:worker.pem \
    --subject-token file:orchestrator.token --resource "$api" --scope 'cal:read cal:write' --out worker.token
[ "$code" -eq 4 ] || fail "an over-ask gave exit code $code, not 4"
expect invalid_scope
run deputy token exchange --client "$worker_client" --secret file:worker.secret --dpop-key file:worker.pem \
    --subject-token file:orchestrator.token --resource "$api" --scope cal:read --task trip-42.find.1 --out worker.token
brief 'sub|aud|scope|cnf|act|task_id|parent_task_id|lineage' deputy token verify file:worker.token --audience "$api"
expect "$assistant"

# --- 5: the call

step 'The worker calls the API with a fresh proof; the API sees who acts for whom, and no token'
sign() { # more flags
    # The words that stand for secrets are shown as a user would type them.
    # shellcheck disable=SC2016
    printf '$ proof=$(deputy token dpop-proof --key file:worker.pem --token file:worker.token --url %s%s)\n' "$api" "${*:+ $*}"
    proof=$(deputy token dpop-proof --key file:worker.pem --token file:worker.token --url "$api" "$@")
}
call_api() {
    # shellcheck disable=SC2016
    printf '$ curl -i -H "Authorization: DPoP $(cat worker.token)" -H "DPoP: $proof" %s\n' "$api"
    curl -sS -i -H "Authorization: DPoP $(cat worker.token)" -H "DPoP: $proof" "$api" | tr -d '\r' >said
    said=$(cat said)
    grep -E '^(HTTP|Deputy|WWW|DPoP|Authorization|two)' said | sed 's/^/    /'
}
sign
call_api
nonce=$(field DPoP-Nonce:)
case $said in
*use_dpop_nonce*)
    printf '    (a guard that has just started wants its nonce, so that nothing from before its start is replayed)\n'
    sign --nonce "$nonce"
    call_api
    ;;
esac
expect 'HTTP/1.1 200'
expect "Deputy-Subject: $assistant"
expect "Deputy-Actor: $worker"
[ -z "$(field Authorization:)" ] || fail 'the token went upstream'
decision=$(field Deputy-Decision:)

step 'The same proof again is a replay: refused'
call_api
expect 'HTTP/1.1 401'
expect 'WWW-Authenticate'
refused=$(field Deputy-Decision:)

step 'Why? Every decision can be asked'
run deputy explain "$refused" --log guard-audit
expect DPOP_REPLAY

# --- 6: the kill switch

step 'Ban the worker: the guard refuses its living token'
run deputy call "$api" --token file:worker.token --dpop-key file:worker.pem
expect 'two meetings'
began=$(now_ms)
run deputy agent ban worker
until ! deputy call "$api" --token file:worker.token --dpop-key file:worker.pem >said 2>&1; do
    [ $(($(now_ms) - began)) -le 5000 ] || fail 'the ban did not reach the guard'
done
took=$(($(now_ms) - began))
try deputy call "$api" --token file:worker.token --dpop-key file:worker.pem
[ "$code" -eq 4 ] || fail "a banned agent's call gave exit code $code, not 4"
printf '    refused %s ms after the ban began (bound: 1000 ms)\n' "$took"
[ "$took" -le 1000 ] || fail "the ban took $took ms"
try deputy token exchange --client "$worker_client" --secret file:worker.secret --dpop-key file:worker.pem \
    --subject-token file:orchestrator.token --resource "$api" --scope cal:read --out worker.token
[ "$code" -eq 4 ] || fail "a banned agent's exchange gave exit code $code, not 4"

# --- 7: the log

step 'Who did it, for whom? The audit log tells, from the first call'
run deputy audit trace "$decision" --data data --log guard-audit
expect 'assistant'
expect 'orchestrator'
expect 'worker'
expect 'trip-42.find.1'

step 'Was the log changed? Every record is a leaf of a signed Merkle tree'
run deputy audit verify --data data --log guard-audit
expect true
cp -r guard-audit changed
segment=$(find changed/log -name '*.jsonl' | head -n 1)
sed -i '1s/"outcome":"deny"/"outcome":"dent"/;1s/"outcome":"allow"/"outcome":"allov"/' "$segment"
try deputy audit verify --log changed
[ "$code" -eq 7 ] || fail "a changed log gave exit code $code, not 7"

printf '\nEach step went as it should.\n'
