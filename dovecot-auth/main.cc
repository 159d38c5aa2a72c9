// vmail-authd: verifies logins for Dovecot (through checkpassword) and for Postfix (as a Dovecot auth server).
#include "dovecot-auth/service.h"

int main(int argc, char** argv) {
  using namespace vmail;
  const daemon::Program program{
      "vmail-authd",
      "Verifies logins for Dovecot and Postfix against the mail users in the database.",
      [](const config::Settings& settings) { return settings.auth.control; },
      [](const config::Settings& settings) { return settings.auth.metrics; },
      [](Loop& loop, const config::Settings& settings) -> std::unique_ptr<daemon::Service> {
        return std::make_unique<auth::AuthService>(loop, settings);
      },
      auth::check_settings,
  };
  return daemon::run(argc, argv, program);
}
