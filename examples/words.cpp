#include <iostream>
#include <map>
#include <sstream>
#include <string>

int main() {
    std::map<std::string, int, std::greater<>> counts;
    std::istringstream text("fire box fire");
    for (std::string word; text >> word;) counts[word]++;
    for (const auto& [word, count] : counts) std::cout << count << ' ' << word << '\n';
}
