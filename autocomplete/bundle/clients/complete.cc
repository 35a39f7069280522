// Completes a text with tokens.tflite of the bundle that this file lies in: $name, $mode.
//
// Needs C++17, Linux's shared library of LiteRT (libLiteRt.so, as the Python package ai-edge-litert has it), and to be
// built as usage/complete (README.md). The answer on standard output is the prompt, then what the model adds, always
// the likeliest token; what LiteRT says of itself goes to standard error.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "litert.h"

namespace {

constexpr int kWindow = $tokens_default;   // the model reads so many of the prompt's last tokens: $tokens_minimum to $tokens_maximum
constexpr int kLength = $sequence_length;  // tokens read and added, the start token included
const std::vector<int> kStart = {$start_items};  // stands before every prompt
constexpr int kEnd = $end;
const std::vector<int> kNoText = {$no_text_items};  // tokens that stand for no text
const bool kDigitsApart = $digits_apart;  // whether each digit is a word by itself
constexpr bool kCompleteWord = $complete_word_js;  // whether the model completes a word that the prompt ends in

// ---- Text: UTF-8, and Unicode's classes that the tokenizer tells apart

using Ranges = std::vector<std::pair<char32_t, char32_t>>;
// clang-format off
const Ranges kLetters = {$letters};
const Ranges kNumbers = {$numbers};
// clang-format on
const Ranges kBlanks = {{0x9, 0xd}, {0x20, 0x20}, {0x85, 0x85}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a},
                        {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};

bool Contains(const Ranges& ranges, char32_t point) {
  auto next = std::upper_bound(ranges.begin(), ranges.end(), point,
                               [](char32_t p, const auto& range) { return p < range.first; });
  return next != ranges.begin() && point <= std::prev(next)->second;
}

// The code point at a place and how many bytes it takes: none where these are no UTF-8.
std::pair<char32_t, size_t> Decode(const std::string& text, size_t at) {
  const unsigned char lead = text[at];
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + size > text.size()) return {0, 0};
  char32_t point = lead & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((text[at + i] & 0xc0) != 0x80) return {0, 0};
    point = point << 6 | (text[at + i] & 0x3f);
  }
  const bool overlong = point < (size == 3 ? 0x800 : size == 4 ? 0x10000 : 0x80);
  if (overlong || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return {0, 0};
  return {point, size};
}

std::string Encode(char32_t point) {  // below 0x800 is enough here
  if (point < 0x80) return {static_cast<char>(point)};
  return {static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 0x3f))};
}

std::string WithoutInvalid(const std::string& bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    const size_t size = Decode(bytes, at).second;
    text.append(bytes, at, size);
    at += std::max<size_t>(size, 1);
  }
  return text;
}

std::string Read(const std::filesystem::path& path) {
  std::stringstream content;
  content << Opened(path).rdbuf();
  return content.str();
}

// ---- Byte-level byte-pair encoding as GPT-2 has it

class Tokenizer {
 public:
  explicit Tokenizer(const std::filesystem::path& folder) {
    char32_t next = 256;  // each byte is written as a printable character: itself, or one from 256 on
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
      characters_[b] = Encode(printable ? b : next++);
      bytes_[characters_[b]] = static_cast<char>(b);
    }
    ReadVocabulary(Read(folder / "vocabulary.json"));
    std::istringstream merges(Read(folder / "merges.txt"));
    for (std::string line; std::getline(merges, line);) {
      if (!line.empty() && line.rfind("#version", 0) != 0) ranks_.emplace(line, ranks_.size());
    }
  }

  std::vector<int> Ids(const std::string& text) const {
    std::vector<int> ids;
    for (const std::string& word : Words(text)) {
      for (const std::string& token : Merged(word)) ids.push_back(ids_.at(token));
    }
    return ids;
  }

  std::string Text(const std::vector<int>& ids) const {
    std::string bytes;
    for (int id : ids) {
      if (std::count(kNoText.begin(), kNoText.end(), id)) continue;
      const std::string& token = tokens_.at(id);
      for (size_t at = 0, size; at < token.size(); at += size) {
        size = Decode(token, at).second;
        bytes += bytes_.at(token.substr(at, size));
      }
    }
    return WithoutInvalid(bytes);
  }

 private:
  // A JSON object of strings and numbers, no more.
  void ReadVocabulary(const std::string& json) {
    for (size_t at = json.find('"'); at != std::string::npos; at = json.find('"', at)) {
      std::string token;
      for (++at; json.at(at) != '"'; ++at) {
        if (json[at] != '\\') {
          token += json[at];
        } else if (json.at(++at) == 'u') {
          token += Encode(static_cast<char32_t>(std::stoi(json.substr(at + 1, 4), nullptr, 16)));
          at += 4;
        } else {
          token += json[at];  // a quote or a stroke: others do not occur among printable characters
        }
      }
      const int id = std::stoi(json.substr(json.find(':', at) + 1, 16));
      ids_[token] = id;
      tokens_[id] = token;
      ++at;
    }
  }

  // GPT-2's pattern: contractions, letters, numbers, other signs, each with a blank before them, and blanks.
  static std::vector<std::string> Words(const std::string& text) {
    std::vector<size_t> places;
    std::vector<int> kinds;
    for (size_t at = 0; at < text.size(); at += Decode(text, at).second) {
      const auto [point, size] = Decode(text, at);
      if (size == 0) Fail("the prompt is not UTF-8");
      places.push_back(at);
      kinds.push_back(Contains(kBlanks, point) ? 0 : Contains(kLetters, point) ? 1 : Contains(kNumbers, point) ? 2 : 3);
    }
    places.push_back(text.size());
    std::vector<std::string> words;
    for (size_t from = 0, to; from < kinds.size(); from = to) {  // parts that are cut by themselves
      to = kinds.size();
      if (kDigitsApart) {
        to = from + 1;
        while (kinds[from] != 2 && to < kinds.size() && kinds[to] != 2) ++to;
      }
      const std::vector<int> part(kinds.begin() + from, kinds.begin() + to);
      for (size_t at = 0, end; at < part.size(); at = end) {
        end = WordEnd(text, {places.begin() + from, places.begin() + to + 1}, part, at);
        words.push_back(text.substr(places[from + at], places[from + end] - places[from + at]));
      }
    }
    return words;
  }

  static size_t WordEnd(const std::string& text, const std::vector<size_t>& places, const std::vector<int>& kinds,
                        size_t at) {
    for (const char* contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
      const size_t size = std::strlen(contraction);
      if (text.compare(places[at], size, contraction) == 0) return at + size;
    }
    const bool blank_before = text[places[at]] == ' ' && at + 1 < kinds.size() && kinds[at + 1] != 0;
    size_t end = at + blank_before;
    const int kind = kinds[end];
    while (end < kinds.size() && kinds[end] == kind) ++end;
    // The last of several blanks belongs to the word behind them.
    return kind == 0 && end < kinds.size() && end - at > 1 ? end - 1 : end;
  }

  std::vector<std::string> Merged(const std::string& word) const {
    std::vector<std::string> parts;
    for (unsigned char b : word) {
      if (ids_.count(characters_[b])) parts.push_back(characters_[b]);  // bytes that are no token are left out
    }
    while (true) {
      size_t best = 0, least = ranks_.size();
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto rank = ranks_.find(parts[i] + " " + parts[i + 1]);
        if (rank != ranks_.end() && rank->second < least) std::tie(best, least) = std::pair(i, rank->second);
      }
      if (least == ranks_.size()) return parts;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + best + 1);
    }
  }

  std::array<std::string, 256> characters_;
  std::map<std::string, char> bytes_;
  std::map<std::string, int> ids_;
  std::map<int, std::string> tokens_;
  std::map<std::string, size_t> ranks_;  // of "left right"
};

}  // namespace

// ---- The model

namespace {

// Tokens with those that the model adds, always the likeliest.
std::vector<int> Generate(Model model, std::vector<int32_t> tokens) {
  const auto count = static_cast<int32_t>(tokens.size());
  tokens.resize(kLength);
  std::memcpy(model.Memory<int32_t>("input tokens"), tokens.data(), kLength * sizeof(int32_t));
  *model.Memory<int32_t>("input length") = count;
  *model.Memory<int32_t>("input max_length") = kLength;
  *model.Memory<float>("input temperature") = 0;
  *model.Memory<int32_t>("input top_k") = 0;
  *model.Memory<float>("input top_p") = 1;
  *model.Memory<int32_t>("input seed") = 0;
  if (kCompleteWord) *model.Memory<int32_t>("input complete_word") = 1;
  model.Run();
  const auto* made = model.Memory<int32_t>("output tokens");
  return {made, made + *model.Memory<int32_t>("output length")};
}

std::string Complete(const std::filesystem::path& bundle, const std::string& prompt) {
  const Tokenizer tokenizer(bundle / "tokenizer");
  const std::vector<int> ids = tokenizer.Ids(prompt);
  std::vector<int32_t> tokens = kStart;
  tokens.insert(tokens.end(), ids.end() - std::min<ptrdiff_t>(ids.size(), kWindow), ids.end());
  if (tokens.empty()) tokens.push_back(kEnd);
  Opened(bundle / "tokens.tflite");  // says so where it is missing
  const std::vector<int> answer = Generate(Model((bundle / "tokens.tflite").string()), tokens);
  // The answer may spell the end of the prompt in other tokens, but its text is the same.
  return prompt + tokenizer.Text(answer).substr(tokenizer.Text(tokens).size());
}

}  // namespace

int main(int count, char** arguments) { return Main(count, arguments, Complete); }
