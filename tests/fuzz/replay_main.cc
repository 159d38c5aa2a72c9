// Runs every file of a folder of seeds through the target.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " SEED-FOLDER\n";
    return 2;
  }
  std::vector<std::filesystem::path> seeds;
  if (std::filesystem::is_directory(argv[1])) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
      if (entry.is_regular_file()) seeds.push_back(entry.path());
    }
  }
  if (seeds.empty()) {
    std::cerr << argv[1] << " holds no seeds: add at least one that gets into the code\n";
    return 1;
  }
  std::sort(seeds.begin(), seeds.end());
  LLVMFuzzerTestOneInput(nullptr, 0);  // as libFuzzer begins
  for (const auto& seed : seeds) {
    std::ifstream file(seed, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (!file.good() && !file.eof()) {
      std::cerr << seed << ": cannot be read\n";
      return 1;
    }
    std::cerr << seed.filename().string() << ": " << bytes.size() << " bytes\n";
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  std::cout << "test cases run: 1" << std::endl;
  if (!vmail::fuzz::Reach::all_hit()) {
    std::cerr << "a part of the code was reached by none of the seeds (count 0 below): add one that gets there\n";
    return 1;
  }
  return 0;
}
