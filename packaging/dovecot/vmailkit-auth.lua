-- Dovecot's passdb and userdb by vmail-authd, for Dovecot 2.3 and 2.4 alike; auth-vmailkit.conf.ext and
-- auth-vmailkit-2.4.conf.ext say how it is named there. All that is known about a user is asked of the daemon: this
-- script keeps nothing but its connections, one of each worker.

package.cpath = "/usr/lib/vmailkit/?.so;" .. package.cpath
local vmailkit_auth = require "vmailkit_auth"

local verify = vmailkit_auth.connection("/run/vmailkit/auth/verify")
local credentials = vmailkit_auth.connection("/run/vmailkit/auth/credentials")

-- What the daemon is told of a login: members of the request have one name in Dovecot 2.3, another in 2.4.
local function about(request)
  local function text(value)
    return value ~= nil and value ~= "" and tostring(value) or nil
  end
  return {
    user = request.user,
    service = text(request.service) or text(request.protocol),
    rip = text(request.rip) or text(request.remote_ip),
    session = text(request.session),
  }
end

-- What a login answers: where the mail is comes with it, for `userdb prefetch`.
local function login_fields(answer)
  return {
    user = answer.user,
    userdb_home = answer.home,
    userdb_uid = answer.uid,
    userdb_gid = answer.gid,
    password = answer.password,
    allow_nets = answer.allow_nets,
  }
end

function auth_password_verify(request, password)
  local question = about(request)
  question.password = password
  local status, answer = verify:ask("VERIFY", question)
  if status == "OK" then
    return dovecot.auth.PASSDB_RESULT_OK, login_fields(answer)
  elseif status == "NO" then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, "the user name or the password is wrong"
  end
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, answer
end

-- For mechanisms in which no password comes; off unless auth.credentials is set in vmailkit.toml.
function auth_passdb_lookup(request)
  local question = about(request)
  local mechanism = request.mech or request.mechanism
  if mechanism and string.sub(mechanism, 1, 6) == "SCRAM-" then
    question.scheme = mechanism
  end
  local status, answer = credentials:ask("CREDENTIALS", question)
  if status == "OK" then
    return dovecot.auth.PASSDB_RESULT_OK, login_fields(answer)
  elseif status == "NO" then
    return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, "no such user"
  end
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, answer
end

function auth_userdb_lookup(request)
  local status, answer = verify:ask("USERDB", about(request))
  if status == "OK" then
    return dovecot.auth.USERDB_RESULT_OK, {
      user = answer.user,
      home = answer.home,
      uid = answer.uid,
      gid = answer.gid,
    }
  elseif status == "NO" then
    return dovecot.auth.USERDB_RESULT_USER_UNKNOWN, "no such user"
  end
  return dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE, answer
end

function auth_userdb_iterate()
  local users, why = verify:list()
  if users == nil then
    error(why)
  end
  return users
end

-- Where auth_cache_size is set: what is allowed from one address by one service says nothing about another. (Dovecot
-- 2.3 is told so by cache_key= in its configuration.)
function auth_passdb_get_cache_key()
  return "%{user}/%{protocol}/%{remote_ip}"
end

function auth_userdb_get_cache_key()
  return "%{user}"
end

function script_init()
  return 0
end

function script_deinit()
end
