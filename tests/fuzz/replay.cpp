// SPDX-License-Identifier: MIT
//
// Runs a fuzz target over the files of a folder, with any compiler: a seed, or an input that once broke a law, stays a test. usage: replay FOLDER
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "law.hpp"

int main(int count, char** words) {
  if (count != 2) {
    std::fputs("usage: replay FOLDER\n", stderr);
    return 2;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(words[1])) {
    files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::fprintf(stderr, "%s\n", file.filename().c_str());  // the last one named is the one that ends the program
    std::ifstream in(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    // In memory of exactly their size, so that a sanitizer sees a step beyond.
    const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[bytes.size()]};
    std::copy(bytes.begin(), bytes.end(), exact.get());
    (void)LLVMFuzzerTestOneInput(exact.get(), bytes.size());
  }
  std::printf("%zu inputs\n", files.size());
  return files.empty() ? 1 : 0;
}
