// Completes a text with portable.tflite of the bundle that this file lies in: $name, $mode.
//
// Needs C++17, Linux's shared library of LiteRT (libLiteRt.so, as the Python package ai-edge-litert has it), and to be
// built as usage/portable (README.md). The answer on standard output is the prompt, then what the model adds, always
// the likeliest token; what LiteRT says of itself goes to standard error.

#include "litert.h"

namespace {

constexpr size_t kRoom = $portable_prompt_bytes;  // the model reads so many of the prompt's last bytes
constexpr int kTokens = $sequence_length;  // added at most

std::string Complete(const std::filesystem::path& bundle, const std::string& prompt) {
  Opened(bundle / "portable.tflite");  // says so where it is missing
  size_t first = prompt.size() > kRoom ? prompt.size() - kRoom : 0;
  while (first < prompt.size() && (prompt[first] & 0xc0) == 0x80) ++first;  // the rest of a character that was cut
  const auto length = static_cast<int32_t>(prompt.size() - first);
  Model model((bundle / "portable.tflite").string());
  std::memcpy(model.Memory<char>("input prompt"), prompt.data() + first, length);
  *model.Memory<int32_t>("input prompt_length") = length;
  *model.Memory<int32_t>("input max_tokens") = kTokens;
  *model.Memory<float>("input temperature") = 0;
  *model.Memory<int32_t>("input top_k") = 0;
  *model.Memory<float>("input top_p") = 1;
  *model.Memory<int32_t>("input seed") = 0;
  *model.Memory<int32_t>("input complete_word") = 1;
  model.Run();
  return prompt + std::string(model.Memory<char>("output text"), *model.Memory<int32_t>("output text_length"));
}

}  // namespace

int main(int count, char** arguments) { return Main(count, arguments, Complete); }
