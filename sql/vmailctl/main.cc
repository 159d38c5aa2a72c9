// vmailctl: the administrator's tool.
#include "sql/vmailctl/cli.h"

int main(int argc, char** argv) {
  return vmail::sql::run(argc, argv);
}
