// vmailkit_auth: a module for Lua 5.4, by which the script of Dovecot's passdb and userdb (packaging/dovecot/
// vmailkit-auth.lua) asks vmail-authd. It is loaded into Dovecot's auth workers, so it links libc alone and finds the
// functions of Lua in the program that loads it.
//
//   local connection = vmailkit_auth.connection(path)
//   connection:ask(command, fields)     "OK" and a table of the fields of the answer; "NO"; "TEMP" and why, in words
//   connection:list()                   an array of all mailboxes; nil and why, in words
//
// `command` and `fields` are those of verify/protocol.h. A connection is opened with the first request and kept; each
// request has a deadline of its own. Nothing but a wrong use raises a Lua error.
extern "C" {
#include <lauxlib.h>
#include <lua.h>
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dovecot-auth/client/answer.h"
#include "dovecot-auth/client/ask.h"
#include "dovecot-auth/verify/protocol.h"
#include "dovecot-auth/wire/tabs.h"

using namespace vmail::auth;

namespace {

constexpr const char* kType = "vmailkit_auth.connection";
constexpr size_t kMaxPath = 107;  // of a UNIX socket
// Longer than the daemon takes to answer, shorter than Postfix waits for Dovecot.
constexpr long long kDeadlineMs = 8000;

struct Asker {
  char path[kMaxPath + 1];
  client::Connection connection;
};

// What may hold a password or a hash; wiped when it has been used.
struct Buffers {
  char request[protocol::kMaxLine];
  char reply[protocol::kMaxLine + 1];
};

Asker* check_asker(lua_State* state) {
  return static_cast<Asker*>(luaL_checkudata(state, 1, kType));
}

// Sends what the writer holds. Below 0: `why` says why there is no reply.
long ask(Asker* asker, const tabs::Writer& request, char* reply, const char** why) {
  if (!request.ok()) {
    *why = "the request is too long";
    return -1;
  }
  return asker->connection.ask(asker->path, request.data(), request.size(), reply, protocol::kMaxLine,
                               client::now_ms() + kDeadlineMs, why);
}

// Pushes "TEMP" and the reason, which is copied.
int push_temporary(lua_State* state, const char* path, const char* why) {
  lua_pushstring(state, protocol::kTemp);
  lua_pushfstring(state, "%s: %s", path, why);
  return 2;
}

// Pushes a table of "key=value" fields.
void push_fields(lua_State* state, const tabs::Field* fields, size_t count) {
  lua_createtable(state, 0, static_cast<int>(count));
  for (size_t i = 1; i < count; ++i) {
    const char* equals = static_cast<const char*>(memchr(fields[i].text, '=', fields[i].size));
    if (equals == nullptr) continue;
    const size_t key = static_cast<size_t>(equals - fields[i].text);
    lua_pushlstring(state, fields[i].text, key);
    lua_pushlstring(state, equals + 1, fields[i].size - key - 1);
    lua_rawset(state, -3);
  }
}

int ask_request(lua_State* state) {
  Asker* asker = check_asker(state);
  const char* command = luaL_checkstring(state, 2);
  luaL_checktype(state, 3, LUA_TTABLE);
  for (lua_pushnil(state); lua_next(state, 3) != 0; lua_pop(state, 1)) {
    if (lua_type(state, -2) != LUA_TSTRING || lua_type(state, -1) != LUA_TSTRING) {
      return luaL_error(state, "the fields of a request are texts by their names");
    }
  }
  Buffers buffers;
  tabs::Writer writer(buffers.request, sizeof buffers.request);
  writer.word(command);
  for (lua_pushnil(state); lua_next(state, 3) != 0; lua_pop(state, 1)) {
    size_t size = 0;
    const char* value = lua_tolstring(state, -1, &size);
    writer.field(lua_tostring(state, -2), value, size);
  }
  writer.end_line();
  const char* why = nullptr;
  const long length = ask(asker, writer, buffers.reply, &why);
  explicit_bzero(buffers.request, sizeof buffers.request);
  if (length < 0) return push_temporary(state, asker->path, why);

  tabs::Field fields[protocol::kMaxFields];
  const auto answer = client::read_answer(buffers.reply, static_cast<size_t>(length), fields, protocol::kMaxFields);
  int results = 1;
  switch (answer.status) {
    case client::Answer::Ok:
      lua_pushstring(state, protocol::kOk);
      push_fields(state, fields, answer.fields);
      results = 2;
      break;
    case client::Answer::No:
      lua_pushstring(state, protocol::kNo);
      break;
    case client::Answer::Temporary:
      results = push_temporary(state, asker->path, answer.reason);
  }
  explicit_bzero(buffers.reply, sizeof buffers.reply);
  return results;
}

int push_no_list(lua_State* state, const char* path, const char* why) {
  lua_pushnil(state);
  lua_pushfstring(state, "%s: %s", path, why);
  return 2;
}

int list_mailboxes(lua_State* state) {
  Asker* asker = check_asker(state);
  lua_newtable(state);
  lua_Integer listed = 0;
  unsigned long long after = 0;
  for (;;) {
    Buffers buffers;
    tabs::Writer writer(buffers.request, sizeof buffers.request);
    char number[24];
    snprintf(number, sizeof number, "%llu", after);
    writer.word(protocol::kList);
    writer.field("after", number);
    writer.end_line();
    const char* why = nullptr;
    const long length = ask(asker, writer, buffers.reply, &why);
    if (length < 0) return push_no_list(state, asker->path, why);
    tabs::Field fields[protocol::kMaxListed];
    const auto answer = client::read_answer(buffers.reply, static_cast<size_t>(length), fields, protocol::kMaxListed);
    if (answer.status != client::Answer::Ok) return push_no_list(state, asker->path, answer.reason);
    const char* next = nullptr;
    for (size_t i = 1; i < answer.fields; ++i) {
      if (const char* user = tabs::value_of(fields[i], "user")) {
        lua_pushstring(state, user);
        lua_rawseti(state, -2, ++listed);
      }
      if (const char* value = tabs::value_of(fields[i], "after")) next = value;
    }
    if (next == nullptr) return 1;
    const unsigned long long further = strtoull(next, nullptr, 10);
    // Or it would never end.
    if (further <= after) return push_no_list(state, asker->path, "its list does not go on");
    after = further;
  }
}

int close_connection(lua_State* state) {
  check_asker(state)->connection.close();
  return 0;
}

int make_connection(lua_State* state) {
  size_t size = 0;
  const char* path = luaL_checklstring(state, 1, &size);
  if (size > kMaxPath || strlen(path) != size) return luaL_error(state, "the path of a socket has at most 107 bytes");
  auto* asker = static_cast<Asker*>(lua_newuserdatauv(state, sizeof(Asker), 0));
  memcpy(asker->path, path, size + 1);
  asker->connection = client::Connection();
  luaL_setmetatable(state, kType);
  return 1;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int luaopen_vmailkit_auth(lua_State* state) {
  static const luaL_Reg methods[] = {{"ask", ask_request}, {"list", list_mailboxes}, {nullptr, nullptr}};
  static const luaL_Reg functions[] = {{"connection", make_connection}, {nullptr, nullptr}};
  luaL_newmetatable(state, kType);
  lua_pushcfunction(state, close_connection);
  lua_setfield(state, -2, "__gc");
  lua_newtable(state);
  luaL_setfuncs(state, methods, 0);
  lua_setfield(state, -2, "__index");
  lua_pop(state, 1);
  luaL_newlib(state, functions);
  return 1;
}
