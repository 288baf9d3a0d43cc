// Takes memory and gives it back, or with the argument "leaky" does not: LeakSanitizer must stay
// silent about the first and report the second.
#include <cstring>

char* volatile kept = nullptr;

int main(int argc, char** argv) {
  kept = new char[100];
  if (argc > 1 && std::strcmp(argv[1], "leaky") == 0) kept = new char[200];
  delete[] kept;
}
