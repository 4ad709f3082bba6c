#!/bin/sh
# The command `deputy` against a running server: every noun, every exit code, secrets that stay secret. TAP on standard output.
# DEPUTY_BIN is the folder with deputyd and deputy.
set -u

bin=$(cd "${DEPUTY_BIN:?DEPUTY_BIN}" && pwd)
PATH=$bin:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/deputy-cli.XXXXXX")
pids=
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$work" || exit 1

finish() {
    trap - EXIT INT TERM
    for pid in $pids; do
        kill -TERM "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    cd / && rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

number=0
failed=0
test_name=
test_failed=0

# A test ends where the next one begins.
end_test() {
    [ -n "$test_name" ] || return 0
    number=$((number + 1))
    if [ "$test_failed" -eq 0 ]; then
        echo "ok $number - cli $test_name"
    else
        echo "not ok $number - cli $test_name"
        failed=$((failed + 1))
    fi
}
begin() {
    end_test
    test_name=$1
    test_failed=0
}
bad() {
    test_failed=1
    printf '# %s\n' "$*"
    sed 's/^/#   out: /' out 2>/dev/null | head -n 5
    sed 's/^/#   err: /' err 2>/dev/null | head -n 5
}

# want CODE COMMAND…: runs it; what it wrote is in `out` and `err`.
want() {
    code=$1
    shift
    "$@" >out 2>err
    got=$?
    [ "$got" -eq "$code" ] || bad "exit code $got, not $code: $*"
}
says() { grep -qF -- "$1" out || bad "the result does not say: $1"; }
says_not() { ! grep -qF -- "$1" out err || bad "it says: $1"; }
faults() { grep -qF -- "$1" err || bad "the fault does not say: $1"; }
field() { sed -n "s/^$1  *//p" out | head -n 1; }

some_port() { echo $((20000 + ($(od -An -N2 -tu2 /dev/urandom) % 12000))); }

await() { # pid, command…: at most ten seconds
    pid=$1
    shift
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

start_server() { # name, more lines of configuration
    for _ in 1 2 3 4 5 6 7 8; do
        port=$(some_port)
        printf 'issuer: http://127.0.0.1:%s\nlisten: 127.0.0.1:%s\ndata_dir: %s/%s\n%s\n' "$port" "$port" "$work" "$1" "${2:-}" >"$1.yaml"
        deputyd --config "$1.yaml" >"$1.log" 2>&1 &
        server=$!
        if await "$server" grep -q ready "$1.log"; then
            pids="$server $pids"
            DEPUTY_URL=http://127.0.0.1:$port
            DEPUTY_ADMIN_SOCKET=$work/$1/admin.sock
            export DEPUTY_URL DEPUTY_ADMIN_SOCKET
            return 0
        fi
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    done
    echo 'Bail out! deputyd does not start'
    sed 's/^/# /' "$1.log"
    exit 1
}

start_server main
DEPUTY_FORMAT=table
export DEPUTY_FORMAT
api=https://api.example/calendar

begin 'resource: create, get, update, list'
want 0 deputy resource create "$api" --scopes 'read write' --scopes admin
want 0 deputy resource get "$api"
says 'read write admin'
want 0 deputy resource update "$api" --name Calendar --scopes 'read write'
want 0 deputy resource list
says Calendar
says_not admin

begin 'a second thing of the same name is a conflict: 5'
want 5 deputy resource create "$api" --scopes read
faults suggestions

begin 'what is not there is 3'
want 3 deputy resource get https://api.example/other
want 3 deputy agent get agent:01ARZ3NDEKTSV4RRFFQ69G5FAV
want 3 deputy client get 01ARZ3NDEKTSV4RRFFQ69G5FAV
want 3 deputy agent get nobody
want 3 deputy explain 01ARZ3NDEKTSV4RRFFQ69G5FAV

begin 'a body the server refuses is 2'
want 2 deputy agent create --name x --owner y --parent agent:nonsense --ceiling "$api read"
want 2 deputy resource create 'not a uri' --scopes read

begin 'issuer: create, get, update, list, delete'
idp=https://idp.example
want 0 deputy issuer create "$idp" --name corp --use subject --use id-jag --audience portal --ceiling "$api read"
want 0 deputy issuer list
says corp
want 5 deputy issuer create "$idp" --name other --use subject --ceiling "$api read"
want 2 deputy issuer create https://k8s.example --name k8s --use workload --rule 'CLIENT sub'
want 2 deputy issuer create https://k8s.example --use subject
want 0 deputy issuer create https://k8s.example --name k8s --use workload --rule 'CLIENT sub=system:serviceaccount:a:b'
want 0 deputy issuer get https://k8s.example
says system:serviceaccount:a:b
want 2 deputy issuer update "$idp"
want 0 deputy issuer update "$idp" --enabled=false
want 2 deputy issuer create https://as2.example --name partner --use target
want 2 deputy issuer create https://as2.example --name partner --use target --target-scope read --target-client CLIENT
want 0 deputy issuer create https://as2.example --name partner --use target --target-scope read --target-client 'CLIENT there' \
    --target-resource 'https://mcp.as2.example read write'
says '"client_id":"there"'
says '"resource":"https://mcp.as2.example"'
want 0 deputy issuer delete "$idp"
want 3 deputy issuer get "$idp"

begin 'agent: create, by name, update, tree'
want 0 deputy agent create --name orchestrator --owner alice --org acme --ceiling "$api read write"
orchestrator=$(field id)
want 0 deputy agent create --name worker --owner alice --org acme --parent orchestrator --ceiling "$api read"
worker=$(field id)
want 0 deputy agent get worker
says "$orchestrator"
want 0 deputy agent update worker --purpose 'finds free hours' --agent-version 1.2
says 'finds free hours'
want 0 deputy agent tree
says '└─ worker'
want 3 deputy agent get wroker
faults 'did you mean worker?'

begin 'D11 a resource that takes the name of a deleted one inherits nothing'
want 0 deputy resource create https://gone.example --name gone --scopes 'read'
want 0 deputy agent create --name heir --owner alice --org acme --ceiling 'https://gone.example read'
want 0 deputy resource delete https://gone.example
want 2 deputy resource create https://gone.example --name gone --scopes 'read'
faults 'still name a resource'
want 0 deputy agent update heir --ceiling "$api read"
want 0 deputy resource create https://gone.example --name gone --scopes 'read'

begin 'client: an ephemeral instance has an end'
want 0 deputy client create --agent orchestrator --expires-in 3600 --secret-out instance.secret
says expires
want 2 deputy client create --agent orchestrator --expires-in 0 --secret-out other.secret

begin 'issuer: whom its users may hand over to'
want 0 deputy issuer create https://users.example --name users --org acme --use subject --ceiling "$api read" --agent worker
says "$worker"
want 3 deputy issuer create https://more.example --name more --org acme --use subject --ceiling "$api read" --agent wroker

begin 'agent: what it may hand over, and to whom'
want 0 deputy agent update orchestrator --delegate-to worker --delegate "$api read" --delegate-depth 2 --delegate-lifetime 60
want 0 deputy agent get orchestrator
says "$worker"
want 2 deputy agent update orchestrator --delegate-to worker --delegate-nothing
want 3 deputy agent update orchestrator --delegate-to wroker

begin 'token preview: what would be issued, and which line forbids the rest'
want 0 deputy client create --agent orchestrator --secret-out preview.secret
preview_client=$(field id)
want 0 deputy token preview --client "$preview_client" --resource "$api" --scope read
says 'allowed'
says 'This would be issued'
want 4 deputy token preview --client "$preview_client" --audience "$worker" --scope 'read write'
says 'delegation of'
says 'Nothing would be issued'
want 4 deputy token preview --client "$preview_client" --resource "$api" --scope 'read delete'
says 'ceiling of'
want 4 deputy token preview --client 01ARZ3NDEKTSV4RRFFQ69G5FAV --resource "$api"
want 2 deputy token preview --resource "$api"

begin 'two agents of one name are told apart by id'
want 0 deputy agent create --name twin --owner a --ceiling "$api read"
want 0 deputy agent create --name twin --owner b --ceiling "$api read"
want 2 deputy agent ban twin
faults ambiguous

begin 'client: the secret goes to a file of the owner alone, or is shown once'
want 0 deputy client create --agent orchestrator --secret-out orchestrator.secret
orchestrator_client=$(field id)
[ "$(stat -c %a orchestrator.secret)" = 600 ] || bad 'the mode of the secret file'
says_not "$(cat orchestrator.secret)"
want 0 deputy client create --agent worker
worker_client=$(field id)
(umask 077 && field client_secret >worker.secret)
want 0 deputy client get "$worker_client"
says_not "$(cat worker.secret)"
want 5 deputy client create --agent orchestrator --secret-out orchestrator.secret
faults file_not_written
want 0 deputy client create --resource "$api" --name guard --secret-out guard.secret
guard_client=$(field id)

begin 'token get: client_secret_basic and client_secret_post'
want 0 deputy token get --client "$worker_client" --secret file:worker.secret --scope read --resource "$api" --out w.token
says Bearer
says_not "$(cat w.token)"
want 0 deputy token get --client "$worker_client" --secret file:worker.secret --scope read --resource "$api" --raw
says ey
want 0 deputy client create --agent worker --auth client_secret_post --secret-out post.secret
want 0 deputy token get --client "$(field id)" --auth client_secret_post --secret file:post.secret --resource "$api"
says access_token

begin 'token get: private_key_jwt, its key made here'
want 0 deputy token key --out jwt.pem --alg EdDSA --format json
cp out jwt.jwks
want 0 deputy client create --agent worker --auth private_key_jwt --jwks jwt.jwks
jwt_client=$(field id)
want 0 deputy token get --client "$jwt_client" --key file:jwt.pem --resource "$api"
says access_token
want 0 deputy token key --out other.pem
want 4 deputy token get --client "$jwt_client" --key file:other.pem --resource "$api"
faults invalid_client

begin 'a secret comes by file, variable, descriptor or standard input'
SECRET=$(cat worker.secret)
export SECRET
want 0 deputy token get --client "$worker_client" --secret env:SECRET --resource "$api"
want 0 deputy token get --client "$worker_client" --secret fd:3 --resource "$api" 3<worker.secret
want 0 deputy token get --client "$worker_client" --secret - --resource "$api" <worker.secret
want 2 deputy token get --client "$worker_client" --secret "$SECRET" --resource "$api"
faults secret_on_command_line
says_not "$SECRET"

begin 'a refused token is 4 and names what to do and the decision'
want 4 deputy token get --client "$worker_client" --secret file:guard.secret --resource "$api"
faults invalid_client
faults 'deputy explain 01'
want 4 deputy token get --client "$worker_client" --secret file:worker.secret --resource "$api" --scope write
faults invalid_scope
decision=$(sed -n 's/.*deputy explain \([0-9A-Z]*\).*/\1/p' err)
want 4 deputy token get --client "$worker_client" --secret file:worker.secret --resource https://api.example/other
faults invalid_target

begin 'explain asks the server about a decision, or the log'
want 0 deputy explain "$decision"
says SCOPE_CEILING
says scope_ceiling
says refused
want 0 deputy explain "$decision" --data main
says SCOPE_CEILING

begin 'decode shows, verify checks, and a changed token is 4'
want 0 deputy token decode file:w.token --format json
says '"verified": false'
want 0 deputy token verify file:w.token --audience "$api"
says "$worker"
want 4 deputy token verify file:w.token --audience https://api.example/other
faults JWT_AUD
(umask 077 && sed 's/\.\(.\)/.A/2' w.token >changed.token)
want 4 deputy token verify file:changed.token
want 4 deputy token verify file:w.token --url "$DEPUTY_URL/"
faults METADATA_SYNTAX

begin 'introspect and revoke'
want 0 deputy token introspect --client "$guard_client" --secret file:guard.secret --token file:w.token --format ndjson
says '"active":true'
want 0 deputy token revoke --client "$worker_client" --secret file:worker.secret --token file:w.token
want 0 deputy token introspect --client "$guard_client" --secret file:guard.secret --token file:w.token --format ndjson
says '"active":false'

begin 'exchange: a token handed over, bound to two keys'
want 0 deputy token key --out o.pem
want 0 deputy token key --out w.pem
want 0 deputy token get --client "$orchestrator_client" --secret file:orchestrator.secret --dpop-key file:o.pem --audience "$worker" \
    --scope read --task job-1 --instruction 'find an hour' --out o.token
says DPoP
want 0 deputy token exchange --client "$worker_client" --secret file:worker.secret --dpop-key file:w.pem \
    --subject-token file:o.token --resource "$api" --scope read --task job-1.a --out x.token
want 0 deputy token decode file:x.token --format ndjson
says "\"act\":{\"sub\":\"$worker\"}"
says "\"sub\":\"$orchestrator\""

begin 'a token file is replaced, a key file never'
want 0 deputy token exchange --client "$worker_client" --secret file:worker.secret --dpop-key file:w.pem \
    --subject-token file:o.token --resource "$api" --scope read --out x.token
want 5 deputy token key --out o.pem
[ "$(stat -c %a x.token)" = 600 ] || bad 'the mode of the token file'

begin 'exchange: a grant for a foreign server, --may-act, token types'
want 0 deputy issuer create https://as3.example --name third --use target --target-scope read --target-client "$worker_client there"
want 0 deputy agent create --name traveller --owner team --ceiling "$api read" --ceiling 'https://as3.example read'
traveller=$(field id)
want 0 deputy client create --agent "$traveller" --secret-out traveller.secret
traveller_client=$(field id)
want 0 deputy issuer update https://as3.example --target-scope read --target-client "$traveller_client there"
want 0 deputy token get --client "$traveller_client" --secret file:traveller.secret --audience https://as3.example --scope read --out t.token
want 0 deputy token exchange --client "$traveller_client" --secret file:traveller.secret --subject-token file:t.token \
    --requested-type id-jag --audience https://as3.example --format json
says N_A
says token-type:id-jag
want 4 deputy token exchange --client "$traveller_client" --secret file:traveller.secret --subject-token file:t.token \
    --requested-type id-jag --audience https://as4.example
want 2 deputy token exchange --client "$traveller_client" --secret file:traveller.secret --subject-token file:t.token --requested-type saml2
want 2 deputy token exchange --client "$traveller_client" --secret file:traveller.secret --subject-token file:t.token \
    --subject-token-type id_token --resource "$api"
faults typ
want 0 deputy token get --client "$orchestrator_client" --secret file:orchestrator.secret --resource "$api" --may-act "$worker" --out m.token
want 0 deputy token decode file:m.token --format json
says may_act

begin 'a workload: a client without a secret, a rule by path, a trust domain'
want 0 deputy client create --agent traveller --auth workload_jwt --grant jwt-bearer
pod_client=$(field id)
want 0 deputy issuer create https://k8s2.example --name k8s2 --use workload --rule "$pod_client /kubernetes.io/namespace=prod"
says '"/kubernetes.io/namespace":"prod"'
want 2 deputy issuer create https://k8s3.example --name k8s3 --use workload --rule "$pod_client /kubernetes.io/=prod"
want 2 deputy issuer create spiffe://td.example --name td --use workload --rule "$pod_client sub=spiffe://td.example/*"
want 0 deputy issuer create spiffe://td.example --name td --use workload --jwks-uri https://spire.example/bundle \
    --rule "$pod_client sub=spiffe://td.example/ns/*"
want 2 deputy issuer create https://a.example --name a --use access-token
want 0 deputy issuer create https://a.example --name a --use access-token --ceiling "$api read"

begin 'print-curl has no secret in it, and works'
want 0 deputy token get --client "$worker_client" --secret file:worker.secret --resource "$api" --print-curl
says_not "$SECRET"
cp out curl.sh
CLIENT_SECRET=$SECRET want 0 sh curl.sh
says access_token
want 0 deputy agent list --print-curl
cp out curl.sh
want 0 sh curl.sh
says '"items"'

begin 'a dry run changes nothing'
want 0 deputy agent ban worker --dry-run
says /ban
want 0 deputy agent get worker
says active

begin 'rotate-secret: both work in the overlap, only the new one without'
want 0 deputy client rotate-secret "$worker_client" --overlap-s 600 --secret-out new.secret
want 0 deputy token get --client "$worker_client" --secret file:worker.secret --resource "$api"
want 0 deputy token get --client "$worker_client" --secret file:new.secret --resource "$api"
want 0 deputy client rotate-secret "$worker_client" --overlap-s 0 --secret-out newest.secret
want 4 deputy token get --client "$worker_client" --secret file:worker.secret --resource "$api"
want 0 deputy token get --client "$worker_client" --secret file:newest.secret --resource "$api" --out w.token

begin 'a client that is turned off is 4'
want 0 deputy client update "$jwt_client" --enabled=false
want 4 deputy token get --client "$jwt_client" --key file:jwt.pem --resource "$api"
want 0 deputy client update "$jwt_client" --enabled
want 0 deputy token get --client "$jwt_client" --key file:jwt.pem --resource "$api"

begin 'key: prepare, activate, retire; old tokens verify on, those of a tainted key do not'
want 0 deputy key list --format ndjson
first=$(sed -n 's/.*"kid":"\([^"]*\)".*/\1/p' out | head -n 1)
want 0 deputy key prepare --alg EdDSA
second=$(field kid)
want 0 deputy key activate "$second"
want 0 deputy token get --client "$worker_client" --secret file:newest.secret --resource "$api" --out w2.token
want 0 deputy token decode file:w2.token --format json
says "$second"
want 0 deputy token verify file:w.token
want 0 deputy token verify file:w2.token
want 0 deputy key taint "$first"
want 4 deputy token verify file:w.token
faults JWS_KID
want 0 deputy token verify file:w2.token
want 3 deputy key activate no-such-key
want 0 deputy key prepare
third=$(field kid)
want 0 deputy key revoke "$third"
want 0 deputy key list --format ndjson
grep -F -- "$third" out | grep -qF '"tainted"' || bad 'revoke did not taint the key'
want 3 deputy key revoke no-such-key

begin 'suspend and resume, and the subtree goes with it'
want 0 deputy agent suspend orchestrator
want 4 deputy token get --client "$worker_client" --secret file:newest.secret --resource "$api"
want 0 deputy agent resume orchestrator
want 0 deputy token get --client "$worker_client" --secret file:newest.secret --resource "$api"

begin 'ban is for good: resume is a conflict'
want 0 deputy agent ban worker
says banned
want 4 deputy token get --client "$worker_client" --secret file:newest.secret --resource "$api"
want 5 deputy agent resume worker

begin 'audit search finds by principal, task, event, outcome and time'
want 0 deputy audit search --data main --task job-1 --format ndjson
says '"event":"token.issued"'
want 0 deputy audit search --data main --actor "$worker" --event token.exchanged --format ndjson
says "\"sub\":\"$orchestrator\""
want 0 deputy audit search --data main --outcome deny --since 1h --format ndjson
says SCOPE_CEILING
says_not '"outcome":"allow"'
want 0 deputy audit search --data main --since 2038-01-01 --format ndjson
[ ! -s out ] || bad 'records from the future'
want 0 deputy audit search --data main --limit 1 --format ndjson
[ "$(wc -l <out)" -eq 1 ] || bad 'not one record'
want 2 deputy audit search --data main --since yesterday

begin 'audit trace prints the chain from its root; unknown is 3'
want 0 deputy audit trace job-1 --data main
says "orchestrator  $orchestrator  task job-1"
says "└─ worker  $worker  task job-1.a (part of job-1)"
want 0 deputy audit trace job-1.a --data main --format json
says '"name": "orchestrator"'
want 3 deputy audit trace nothing --data main
want 3 deputy audit trace nothing --data nowhere

begin 'audit tail follows as records come'
deputy audit tail --data main --lines 1 -f --format ndjson >followed 2>&1 &
tail_pid=$!
pids="$tail_pid $pids"
await "$tail_pid" grep -q event followed || bad 'the last record'
want 0 deputy agent create --name late --owner a --ceiling "$api read"
late=$(field id)
await "$tail_pid" grep -q "$late" followed || bad 'the new record did not come'
kill "$tail_pid"

begin 'config check: what is meant, and where a mistake is'
want 0 deputy config check main.yaml
says "$DEPUTY_URL"
printf 'isuer: http://127.0.0.1:1\n' >wrong.yaml
want 2 deputy config check wrong.yaml
faults wrong.yaml
faults issuer
want 2 deputy config check absent.yaml

begin 'delete: gone, and gone again is 3'
want 0 deputy client delete "$jwt_client"
want 3 deputy client delete "$jwt_client"
want 0 deputy resource delete "$api"
want 3 deputy resource get "$api"

begin 'audit verify: a log that is whole is 0; a flipped byte, a removed record, a swapped pair are 7'
kill -TERM "$server"
wait "$server"
want 0 deputy audit verify --data main
says true
segment=$(cd main/audit/log && find . -name '*.jsonl' | head -n 1)
# shellcheck disable=SC2016
for change in '3s/"ts":1/"ts":2/' '4d' '5{h;d};6G' '$d'; do
    rm -rf changed && cp -r main/audit changed
    sed -i "$change" "changed/log/$segment"
    want 7 deputy audit verify --log changed
    faults AUDIT_CORRUPT
done

begin 'audit verify: a log that was rewritten as a whole is told by the key that was noted down'
cp main/audit/key.pub noted.pub
want 0 deputy audit verify --data main --public-key file:noted.pub
start_server other
want 0 deputy resource create "$api" --scopes read
kill -TERM "$server"
wait "$server"
want 0 deputy audit verify --data other
want 7 deputy audit verify --data other --public-key file:noted.pub

begin 'the manual has every command and every flag'
deputy --help >help
sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' help | while read -r noun; do
    deputy "$noun" --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' | while read -r verb; do
        echo "$noun $verb"
    done
done >commands
printf 'call\nexplain\n' >>commands
[ "$(wc -l <commands)" -ge 30 ] || bad 'too few commands in the help'
while read -r noun verb; do
    grep -qF "*deputy $noun${verb:+ $verb}*" "$root/man/deputy.1.scd" || bad "the manual lacks: deputy $noun $verb (tools/manual BUILD writes it)"
    deputy "$noun" ${verb:+"$verb"} --help | sed -n 's/^.*[ ,] --\([a-z-]*\)\( .*\)\{0,1\}$/\1/p' | while read -r flag; do
        grep -qF "*--$flag*" "$root/man/deputy.1.scd" || echo "$flag"
    done >lacking
    [ ! -s lacking ] || bad "the manual lacks flags of deputy $noun $verb: $(tr '\n' ' ' <lacking)"
done <commands

begin 'what nobody expects is 1: the result cannot be written'
deputy --help >kept || bad 'help failed'
[ -s kept ] || bad 'nothing was written'
if [ -c /dev/full ]; then
    deputy --help >/dev/full 2>err
    got=$?
    [ "$got" -eq 1 ] || bad "exit code $got, not 1, on a full disk"
fi

begin 'no server is 6: retry later'
want 6 deputy agent list
faults 'deputyd --dev'
want 6 deputy token get --client x --secret env:SECRET --resource "$api"

begin 'a server that wants its nonce gets it, with a fresh proof'
start_server nonce 'dpop_needs_nonce: true'
want 0 deputy resource create "$api" --scopes read
want 0 deputy agent create --name a --owner o --ceiling "$api read"
want 0 deputy client create --agent a --secret-out a.secret
want 0 deputy token get --client "$(field id)" --secret file:a.secret --dpop-key file:w.pem --resource "$api" -v
says DPoP
[ "$(grep -c /oauth/token err)" -eq 2 ] || bad 'not exactly two requests to the token endpoint'

end_test
echo "1..$number"
[ "$failed" -eq 0 ]
