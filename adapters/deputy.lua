-- deputy guard for HAProxy 2.6 and later: http-request lua.deputy ADDRESS
--
-- Asks the guard about the request over core.httpclient. An allow replaces the identity headers, takes the caller's token out of the
-- request and sets txn.deputy_allowed; a refusal goes to the caller as the guard gave it. Whatever else happens, the variable is not
-- set, and the configuration answers 503.

local IDENTITY = {
    "Deputy-Subject", "Deputy-Client", "Deputy-Actor", "Deputy-Actor-Chain", "Deputy-Scope", "Deputy-Audience", "Deputy-Task",
    "Deputy-Token-Id", "Deputy-Decision",
}
-- What the guard reads of the caller's. All lines of each: two tokens are for the guard to refuse.
local ASKED = { "authorization", "dpop", "origin", "mcp-method", "mcp-name", "mcp-protocol-version", "client-cert" }
local REFUSALS = { [400] = true, [401] = true, [403] = true, [429] = true, [503] = true }
local HOP = { ["connection"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true, ["content-length"] = true, ["date"] = true }
local TIMEOUT_MS = 5000

-- The values of a header as a list; HAProxy counts from 0.
local function values_of(headers, name)
    local list = {}
    for i = 0, #(headers[name] or {}) do
        if headers[name] ~= nil and headers[name][i] ~= nil then
            list[#list + 1] = headers[name][i]
        end
    end
    return list
end

local function question(txn)
    local sent = txn.http:req_get_headers()
    local headers = {
        ["host"] = { "guard" },
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-uri"] = { txn.f:pathq() },
    }
    for _, name in ipairs(ASKED) do
        local list = values_of(sent, name)
        if #list > 0 then
            headers[name] = list
        end
    end
    return headers
end

local function refuse(txn, answer)
    local reply = txn:reply({ status = answer.status })
    for name, list in pairs(answer.headers) do
        if not HOP[name] then
            for _, value in pairs(list) do
                reply:add_header(name, value)
            end
        end
    end
    reply:set_body(answer.body or "")
    txn:done(reply)
end

-- Every header or none: one that is missing would let the caller's own value pass.
local function identity_of(answer)
    local identity = {}
    for _, name in ipairs(IDENTITY) do
        local list = values_of(answer.headers, name:lower())
        if #list ~= 1 then
            return nil
        end
        identity[name] = list[1]
    end
    return identity
end

local function allow(txn, identity, nonces)
    for name, _ in pairs(txn.http:req_get_headers()) do
        if name:lower():sub(1, 7) == "deputy-" then
            txn.http:req_del_header(name)
        end
    end
    txn.http:req_del_header("Authorization")
    txn.http:req_del_header("DPoP")
    txn.http:req_del_header("Client-Cert")
    for name, value in pairs(identity) do
        txn.http:req_set_header(name, value)
    end
    txn:set_var("txn.deputy_decision", identity["Deputy-Decision"])
    if nonces[1] ~= nil then
        txn:set_var("txn.deputy_nonce", nonces[1]) -- the next one, for the caller
    end
    txn:set_var("txn.deputy_allowed", true)
end

core.register_action("deputy", { "http-req" }, function(txn, address)
    local client = core.httpclient()
    local answer = client:get({
        url = "http://guard/authz/forward-auth", dst = address, headers = question(txn), timeout = TIMEOUT_MS,
    })
    if answer == nil or answer.headers == nil or answer.headers["deputy-decision"] == nil then
        return
    end
    if answer.status == 200 then
        local identity = identity_of(answer)
        if identity ~= nil then
            allow(txn, identity, values_of(answer.headers, "dpop-nonce"))
        end
    elseif REFUSALS[answer.status] then
        refuse(txn, answer)
    end
end, 1)
