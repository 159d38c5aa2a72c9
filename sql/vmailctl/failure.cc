#include "sql/vmailctl/failure.h"

#include <sysexits.h>

#include "shared/config/config.h"
#include "shared/mysql/connection.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {

int tell_exception(Output& output, const std::string& config_file) {
  try {
    throw;
  } catch (const Refusal& refusal) {
    output.error(refusal.what(), refusal.hint());
    return 1;
  } catch (const config::Error& error) {
    output.error(config::tell(error, config_file), "");
    return EX_CONFIG;
  } catch (const mysql::Error& error) {
    switch (error.kind()) {
      case mysql::ErrorKind::Lost:
      case mysql::ErrorKind::Timeout:
        output.error(error.what(), "");
        return EX_UNAVAILABLE;
      case mysql::ErrorKind::Denied:
        output.error(error.what(),
                     "vmailctl logs in as admin.database_user of vmailkit.toml (root by UNIX-socket authentication by "
                     "default: run it as root).");
        return EX_CONFIG;
      case mysql::ErrorKind::Duplicate:
        output.error(error.what(),
                     "The database takes another row for the same: its collation ignores case and accents.");
        return 1;
      default:
        output.error(error.what(), "");
        return 1;
    }
  } catch (const std::exception& error) {
    output.error(error.what(), "");
    return 1;
  }
}

}  // namespace vmail::sql
