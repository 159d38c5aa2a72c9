// The skeleton as a process of its own: test_daemon.cc, started as systemd starts it.
#include "shared/daemon/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shared/config/config.h"
#include "shared/control/control.h"
#include "tests/support/catch.h"
#include "tests/support/daemon_process.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using test::connect_unix;
using test::DaemonProcess;
using test::read_to_end;
using test::talk;

namespace {

constexpr std::chrono::milliseconds kPatient{60000};

struct Fixture {
  test::DaemonDir dir;
  std::string socket = dir.file("socket");
  std::string control = dir.file("control");
  std::string config = write_config("");

  // `maps` are further lines of [maps].
  std::string write_config(const std::string& maps, const std::string& database = "first") {
    return dir.write("test.toml", "[database]\nname = \"" + database +
                                      "\"\n[log]\ntarget = \"stderr\"\n[maps]\ncontrol = \"" + control + "\"\n" + maps);
  }
  void listen_on(const std::string& where, const std::string& more = "") {
    write_config("listen = [\"" + where + "\"]\n" + more);
  }
  DaemonProcess::Start start(std::vector<std::string> more = {}) const {
    DaemonProcess::Start start;
    start.program = VMAILKIT_TEST_DAEMON;
    start.arguments = {"--config", config};
    start.arguments.insert(start.arguments.end(), more.begin(), more.end());
    return start;
  }
  DaemonProcess::Start start_with(const UniqueFd& listening, const char* name = "test") const {
    auto with = start();
    with.sockets = {{name, listening.get()}};
    return with;
  }
  nlohmann::json status() { return control::call(control, {{"command", "status"}}, kPatient); }
};

mode_t mode_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

}  // namespace

TEST_CASE("a daemon tells about itself and its configuration") {
  Fixture f;
  SECTION("--version") {
    DaemonProcess daemon(f.dir, f.start({"--version"}));
    CHECK(daemon.wait() == 0);
    CHECK(daemon.output() == "test-daemon " VMAILKIT_VERSION "\n");
  }
  SECTION("--print-config prints what can be read again") {
    DaemonProcess daemon(f.dir, f.start({"--print-config"}));
    CHECK(daemon.wait() == 0);
    CHECK(config::parse(daemon.output(), "printed").database.name == "first");
  }
  SECTION("--check-config") {
    DaemonProcess daemon(f.dir, f.start({"--check-config"}));
    CHECK(daemon.wait() == 0);
    CHECK(daemon.output() == f.config + ": good\n");
  }
}

TEST_CASE("a bad configuration ends it with 78 and one clear line") {
  Fixture f;
  std::string expected;
  SECTION("a wrong key") {
    f.dir.write("test.toml", "[database]\nnaem = \"x\"\n");
    expected = f.config + ":2: database.naem: there is no such setting; did you mean \"name\"?";
  }
  SECTION("no file") {
    ::unlink(f.config.c_str());
    expected = f.config + ": cannot be read: No such file or directory; --config FILE names another";
  }
  SECTION("something that the component's own check refuses") {
    f.write_config("", "refused");
    expected = f.config + ":2: database.name: this daemon refuses it";
  }
  for (const bool check : {true, false}) {
    CAPTURE(check);
    DaemonProcess daemon(f.dir,
                         f.start(check ? std::vector<std::string>{"--check-config"} : std::vector<std::string>{}));
    CHECK(daemon.wait() == 78);
    const std::string output = daemon.output();
    CHECK(output.substr(0, output.find('\n')) == "test-daemon: " + expected);
  }
}

TEST_CASE("a place where it cannot listen ends it with 78") {
  Fixture f;
  UniqueFd other;
  std::string expected;
  SECTION("another daemon is there") {
    other = test::listen_unix(f.socket);
    f.listen_on("unix:" + f.socket);
    expected = "another process listens there; stop it first";
  }
  SECTION("a file of another kind") {
    f.dir.write("socket", "precious");
    f.listen_on("unix:" + f.socket);
    expected = "there is a file of another kind; move it away";
  }
  SECTION("no folder") {
    f.listen_on("unix:" + f.dir.file("missing/socket"));
    expected =
        "No such file or directory (its folder is missing: systemd-tmpfiles --create makes those of the package)";
  }
  SECTION("a path that is too long") {
    f.listen_on("unix:/" + std::string(200, 'x'));
    expected = "the path is longer than 107 bytes";
  }
  SECTION("beyond loopback without saying for whom") {
    f.listen_on("inet:0.0.0.0:2525");
    expected = "beyond loopback, say in `networks` who may connect";
  }
  SECTION("no address") {
    f.listen_on("inet:localhost:2525");
    expected = "\"localhost\" is not an IP address";
  }
  SECTION("a network that is none") {
    f.listen_on("unix:" + f.socket, "networks = [\"10.0.0.0/99\"]\n");
    expected = "maps.networks: \"10.0.0.0/99\"";
  }
  DaemonProcess daemon(f.dir, f.start());
  CHECK(daemon.wait() == 78);
  CHECK(daemon.output().find(expected) != std::string::npos);
}

TEST_CASE("a daemon does not run as root") {
  if (::geteuid() != 0) return;
  Fixture f;
  auto start = f.start();
  start.as_root = true;
  DaemonProcess daemon(f.dir, start);
  CHECK(daemon.wait() == 78);
  CHECK(daemon.output().find("does not run as root") != std::string::npos);
}

TEST_CASE("it serves a socket that was handed over, and its own control socket") {
  Fixture f;
  const UniqueFd listening = test::listen_unix(f.socket);
  DaemonProcess daemon(f.dir, f.start_with(listening));
  REQUIRE(daemon.next_notice() == "READY=1");
  const UniqueFd client = connect_unix(f.socket);
  CHECK(talk(client.get(), "hello\n", "\n") == "hello\n");

  CHECK(mode_of(f.control) == 0600);
  const auto status = f.status();
  CHECK(status["database"] == "first");
  CHECK(status["sessions"] == 1);
  // What the skeleton knows itself.
  CHECK(status["daemon"] == "test-daemon");
  CHECK(status["version"] == VMAILKIT_VERSION);
  CHECK(status["uptime"].is_number_unsigned());
  CHECK(status["connections"] == 1);
  CHECK(status["sockets"] == nlohmann::json{{"test", {"unix:" + f.socket}}, {"control", {"unix:" + f.control}}});
  CHECK_THROWS_AS(control::call(f.control, {{"command", "other"}}, kPatient), control::Error);
  CHECK_THROWS_AS(control::call(f.control, {{"commmand", "status"}}, kPatient), control::Error);
  CHECK_THROWS_AS(control::call(f.control, {{"command", 5}}, kPatient), control::Error);

  daemon.signal(SIGTERM);
  CHECK(daemon.next_notice() == "STOPPING=1");
  CHECK(read_to_end(client.get()).empty());
  CHECK(daemon.wait() == 0);
  CHECK(daemon.output().find("stop with 0 sessions") != std::string::npos);
  CHECK(::access(f.control.c_str(), F_OK) != 0);
  CHECK(::access(f.socket.c_str(), F_OK) == 0);  // not ours to remove
}

TEST_CASE("the control socket asks who is there") {
  if (::geteuid() != 0) return;
  Fixture f;
  const UniqueFd listening = test::listen_unix(f.socket);
  DaemonProcess daemon(f.dir, f.start_with(listening));
  REQUIRE(daemon.next_notice() == "READY=1");
  ::chmod(f.control.c_str(), 0666);  // even then
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(12345) != 0 || ::setuid(12345) != 0) ::_exit(2);
    const UniqueFd client = connect_unix(f.control);
    char byte = 0;
    ::_exit(client && ::read(client.get(), &byte, 1) == 0 ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(daemon.output().find("refused: it may not connect here") != std::string::npos);
}

TEST_CASE("the log level is told, and changed until the next reload") {
  Fixture f;
  const UniqueFd listening = test::listen_unix(f.socket);
  DaemonProcess daemon(f.dir, f.start_with(listening));
  REQUIRE(daemon.next_notice() == "READY=1");
  const auto ask = [&](nlohmann::json request) {
    request["command"] = "log-level";
    return control::call(f.control, request, kPatient).at("level").get<std::string>();
  };
  CHECK(ask(nlohmann::json::object()) == "info");
  CHECK(ask({{"level", "debug"}}) == "debug");
  CHECK(ask(nlohmann::json::object()) == "debug");
  CHECK_THROWS_AS(ask({{"level", "loud"}}), control::Refused);
  CHECK_THROWS_AS(ask({{"level", 3}}), control::Refused);
  CHECK(ask({{"level", "error"}}) == "error");
  CHECK(daemon.output().find("log-level before=info now=debug") != std::string::npos);
  CHECK(daemon.output().find("log-level before=debug now=error") != std::string::npos);
  daemon.signal(SIGHUP);
  CHECK(daemon.next_notice().find("RELOADING=1") == 0);
  CHECK(daemon.next_notice() == "READY=1");
  CHECK(ask(nlohmann::json::object()) == "info");
}

TEST_CASE("a socket that nobody serves is told") {
  Fixture f;
  f.listen_on("unix:" + f.dir.file("own"));
  const UniqueFd listening = test::listen_unix(f.socket);
  DaemonProcess daemon(f.dir, f.start_with(listening, "wrong"));
  REQUIRE(daemon.next_notice() == "READY=1");
  CHECK(daemon.output().find("a socket named \"wrong\" was handed over, and nobody serves it") != std::string::npos);
  const UniqueFd client = connect_unix(f.dir.file("own"));
  CHECK(talk(client.get(), "hello\n", "\n") == "hello\n");
}

TEST_CASE("it binds its own socket, also over what a dead daemon left") {
  Fixture f;
  const std::string own = f.dir.file("own");
  f.listen_on("unix:" + own);
  for (const bool killed : {true, false}) {
    CAPTURE(killed);
    DaemonProcess daemon(f.dir, f.start());
    REQUIRE(daemon.next_notice() == "READY=1");
    CHECK(mode_of(own) == 0660);
    const UniqueFd client = connect_unix(own);
    CHECK(talk(client.get(), "hello\n", "\n") == "hello\n");
    daemon.signal(killed ? SIGKILL : SIGTERM);
    CHECK(daemon.wait() == (killed ? 128 + SIGKILL : 0));
    CHECK((::access(own.c_str(), F_OK) == 0) == killed);
  }
}

TEST_CASE("it serves TCP on loopback, to the networks that it was told") {
  Fixture f;
  const int port = test::free_port();
  SECTION("loopback when none was told") {
    f.listen_on("inet:127.0.0.1:" + std::to_string(port));
    DaemonProcess daemon(f.dir, f.start());
    REQUIRE(daemon.next_notice() == "READY=1");
    const UniqueFd client = test::connect_loopback(port);
    CHECK(talk(client.get(), "hello\n", "\n") == "hello\n");
  }
  SECTION("not others") {
    f.listen_on("inet:127.0.0.1:" + std::to_string(port), "networks = [\"10.0.0.0/8\"]\n");
    DaemonProcess daemon(f.dir, f.start());
    REQUIRE(daemon.next_notice() == "READY=1");
    const UniqueFd client = test::connect_loopback(port);
    CHECK(read_to_end(client.get()).empty());
    CHECK(daemon.output().find("connection from 127.0.0.1:") != std::string::npos);
  }
}

TEST_CASE("metrics are served where the configuration says so") {
  Fixture f;
  const int port = test::free_port();
  const std::string tcp = "inet:127.0.0.1:" + std::to_string(port);
  const std::string path = f.dir.file("metrics");
  f.listen_on("unix:" + f.socket, "metrics = [\"" + tcp + "\", \"unix:" + path + "\"]\n");
  DaemonProcess daemon(f.dir, f.start());
  REQUIRE(daemon.next_notice() == "READY=1");
  const auto ask = [&](const std::string& request) {
    const UniqueFd client = connect_unix(path);
    return talk(client.get(), request, "");  // up to the end: one request a connection
  };
  const std::string good = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const UniqueFd client = connect_unix(f.socket);
  CHECK(talk(client.get(), "hello\n", "\n") == "hello\n");

  const std::string text = ask(good);
  CHECK(text.find("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n") == 0);
  const auto has = [&](const std::string& line) { return text.find(line + "\n") != std::string::npos; };
  CHECK(has("vmailkit_build_info{program=\"test-daemon\",version=\"" VMAILKIT_VERSION "\"} 1"));
  CHECK(has("vmailkit_connections{endpoint=\"test\"} 1"));
  CHECK(has("vmailkit_connections{endpoint=\"metrics\"} 1"));
  CHECK(has("vmailkit_connections_total{endpoint=\"test\",outcome=\"served\"} 1"));
  CHECK(has("# TYPE process_start_time_seconds gauge"));
  // The component's own: a line has come back.
  CHECK(has("test_lines_total 1"));

  const UniqueFd over_tcp = test::connect_loopback(port);
  CHECK(talk(over_tcp.get(), good, "").find("test_lines_total 1\n") != std::string::npos);
  CHECK(ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").find("HTTP/1.1 404 Not Found\r\n") == 0);
  const std::string post = ask("POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(post.find("HTTP/1.1 405 Method Not Allowed\r\n") == 0);
  CHECK(post.find("\r\nAllow: GET, HEAD\r\n") != std::string::npos);
  const std::string head = ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(head.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(head.find("\r\n\r\n") + 4 == head.size());
  CHECK(ask("hello\n").find("HTTP/1.1 400 Bad Request\r\n") == 0);
  CHECK(mode_of(path) == 0660);

  // Half a request does not keep the daemon from its end.
  const UniqueFd half = connect_unix(path);
  ::send(half.get(), "GET", 3, 0);
  daemon.signal(SIGTERM);
  CHECK(read_to_end(half.get()).empty());
  CHECK(daemon.wait() == 0);
}

TEST_CASE("metrics are for this host alone") {
  Fixture f;
  f.listen_on("unix:" + f.socket, "metrics = [\"inet:0.0.0.0:9101\"]\nnetworks = [\"10.0.0.0/8\"]\n");
  DaemonProcess daemon(f.dir, f.start());
  CHECK(daemon.wait() == 78);
  CHECK(daemon.output().find("maps.metrics: \"inet:0.0.0.0:9101\" must be for this host alone") != std::string::npos);
}

TEST_CASE("more connections than allowed are closed at once") {
  Fixture f;
  f.write_config("max_connections = 2\n");
  const UniqueFd listening = test::listen_unix(f.socket);
  DaemonProcess daemon(f.dir, f.start_with(listening));
  REQUIRE(daemon.next_notice() == "READY=1");
  UniqueFd first = connect_unix(f.socket);
  const UniqueFd second = connect_unix(f.socket);
  CHECK(talk(first.get(), "1\n", "\n") == "1\n");
  CHECK(talk(second.get(), "2\n", "\n") == "2\n");
  const UniqueFd third = connect_unix(f.socket);
  CHECK(read_to_end(third.get()).empty());
  CHECK(daemon.output().find("2 are open already (max_connections)") != std::string::npos);
  // The control socket has a limit of its own.
  CHECK(f.status()["sessions"] == 2);

  first.reset();
  while (f.status()["sessions"] != 1) ::usleep(1000);
  const UniqueFd fourth = connect_unix(f.socket);
  CHECK(talk(fourth.get(), "4\n", "\n") == "4\n");
}

TEST_CASE("SIGHUP takes a good file and keeps the old one over a bad one") {
  Fixture f;
  const UniqueFd listening = test::listen_unix(f.socket);
  DaemonProcess daemon(f.dir, f.start_with(listening));
  REQUIRE(daemon.next_notice() == "READY=1");
  const UniqueFd client = connect_unix(f.socket);
  CHECK(talk(client.get(), "hello\n", "\n") == "hello\n");
  const auto reload = [&] {
    daemon.signal(SIGHUP);
    CHECK(daemon.next_notice().find("RELOADING=1") == 0);
    CHECK(daemon.next_notice() == "READY=1");
  };

  f.write_config("", "second");
  reload();
  CHECK(f.status()["database"] == "second");

  for (const bool own_check : {false, true}) {
    own_check ? f.write_config("", "refused") : f.dir.write("test.toml", "[database]\nnaem = \"x\"\n");
    reload();
    CHECK(f.status()["database"] == "second");
  }
  const std::string output = daemon.output();
  CHECK(output.find("the configuration stays as it was: " + f.config + ":2: database.naem") != std::string::npos);
  CHECK(output.find("the configuration stays as it was: " + f.config + ":2: database.name: this daemon refuses it") !=
        std::string::npos);
  CHECK(talk(client.get(), "still\n", "\n") == "still\n");
}

TEST_CASE("SIGTERM answers what is in flight, and a restart on a held socket loses nobody") {
  Fixture f;
  const UniqueFd listening = test::listen_unix(f.socket);
  UniqueFd waiting;
  {
    DaemonProcess daemon(f.dir, f.start_with(listening));
    REQUIRE(daemon.next_notice() == "READY=1");
    const UniqueFd idle = connect_unix(f.socket);
    const UniqueFd busy = connect_unix(f.socket);
    CHECK(talk(idle.get(), "hello\n", "\n") == "hello\n");
    ::send(busy.get(), "slow\n", 5, 0);
    while (f.status()["sessions"] != 2) ::usleep(1000);
    daemon.signal(SIGTERM);
    CHECK(daemon.next_notice() == "STOPPING=1");
    waiting = connect_unix(f.socket);  // it comes too late for this daemon, and waits in the backlog
    ::send(waiting.get(), "next\n", 5, 0);
    CHECK(read_to_end(idle.get()).empty());
    CHECK(read_to_end(busy.get()) == "slow answer\n");
    CHECK(daemon.wait() == 0);
    CHECK(daemon.output().find("stop with 0 sessions") != std::string::npos);
  }
  DaemonProcess daemon(f.dir, f.start_with(listening));
  REQUIRE(daemon.next_notice() == "READY=1");
  CHECK(talk(waiting.get(), "", "\n") == "next\n");
}

TEST_CASE("a second SIGTERM does not wait for a session that hangs") {
  Fixture f;
  const UniqueFd listening = test::listen_unix(f.socket);
  DaemonProcess daemon(f.dir, f.start_with(listening));
  REQUIRE(daemon.next_notice() == "READY=1");
  const UniqueFd client = connect_unix(f.socket);
  ::send(client.get(), "stuck\n", 6, 0);
  while (f.status()["sessions"] != 1) ::usleep(1000);
  daemon.signal(SIGTERM);
  CHECK(daemon.next_notice() == "STOPPING=1");
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
  CHECK(read_to_end(client.get()).empty());
  CHECK(daemon.output().find("stop with 0 sessions") != std::string::npos);
}
