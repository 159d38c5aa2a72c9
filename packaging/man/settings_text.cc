// Puts the table of settings into a text, in the place of its line @SETTINGS@:
//   vmailkit_settings_text page TEMPLATE OUTPUT     as the body of vmailkit.toml(5)
//   vmailkit_settings_text sample TEMPLATE OUTPUT   as a configuration file with every setting commented out
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "shared/config/config.h"

namespace {

// Settings get a '#' without a blank behind it, so that they can be told from the explanations.
std::string sample() {
  std::istringstream in(vmail::config::print(vmail::config::Settings{}));
  std::string out, line;
  while (std::getline(in, line)) {
    const bool setting = !line.empty() && line.front() != '#' && line.front() != '[';
    out.append(setting ? "#" : "").append(line) += '\n';
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 4 ? argv[1] : "";
  if (what != "page" && what != "sample") {
    std::cerr << "usage: vmailkit_settings_text page|sample TEMPLATE OUTPUT\n";
    return 1;
  }
  const std::string settings = what == "page" ? vmail::config::manual() : sample();
  std::ifstream in(argv[2]);
  std::ofstream out(argv[3]);
  std::string line;
  while (std::getline(in, line)) out << (line == "@SETTINGS@" ? settings : line + '\n');
  out.close();
  if (!in.eof() || !out) {
    std::cerr << "vmailkit_settings_text: cannot write " << argv[3] << " from " << argv[2] << '\n';
    return 1;
  }
}
