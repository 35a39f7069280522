// Completes a text with tokens.tflite of the bundle that this file lies in: $name, $mode.
//
// Needs com.google.ai.edge.litert:litert, no older than version $litert. Call it away from the main thread.

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/** The model, from the content of tokens.tflite, a direct or mapped buffer, and the two files of tokenizer/. */
class Autocomplete(model: ByteBuffer, vocabulary: String, merges: String) : AutoCloseable {
    private val interpreter = Interpreter(model)
    private val tokenizer = Tokenizer(vocabulary, merges)

    /** The prompt, then what the model adds; temperature 0 always takes the likeliest token. */
    @Synchronized
    fun complete(prompt: String, temperature: Float = 0f, topK: Int = 0, seed: Int = 0): String {
        val ids = (START + tokenizer.encode(prompt).takeLast(WINDOW)).ifEmpty { listOf(END) }
        val inputs = COMPLETE_WORD + mapOf<String, Any>(
            "tokens" to arrayOf(IntArray(LENGTH) { ids.getOrElse(it) { END } }), "length" to ids.size,
            "max_length" to LENGTH, "temperature" to temperature, "top_k" to topK, "top_p" to 1f, "seed" to seed,
        )
        val tokens = arrayOf(IntArray(LENGTH))
        val length = ByteBuffer.allocateDirect(Int.SIZE_BYTES).order(ByteOrder.nativeOrder())
        interpreter.runSignature(inputs, mapOf<String, Any>("tokens" to tokens, "length" to length), "generate")
        // The answer may spell the end of the prompt in other tokens, but its text is the same.
        return prompt + tokenizer.decode(tokens[0].take(length.getInt(0))).drop(tokenizer.decode(ids).length)
    }

    override fun close() = interpreter.close()

    companion object {
        const val WINDOW = $tokens_default // the model reads so many of the prompt's last tokens: $tokens_minimum to $tokens_maximum
        const val LENGTH = $sequence_length // tokens read and added, the start token included
        val START = listOf<Int>($start_items) // stands before every prompt
        const val END = $end
        const val DIGITS_APART = $digits_apart // whether each digit is a word by itself
        val NO_TEXT = setOf<Int>($no_text_items) // tokens that stand for no text

        /** What a model that completes a word which the prompt ends in takes beside the others. */
        val COMPLETE_WORD = if ($complete_word_js) mapOf<String, Any>("complete_word" to 1) else mapOf()
    }
}

/** Byte-level byte-pair encoding as GPT-2 has it. */
class Tokenizer(vocabulary: String, merges: String) {
    private val ids = ENTRY.findAll(vocabulary).associate { unescaped(it.groupValues[1]) to it.groupValues[2].toInt() }
    private val tokens = ids.entries.associate { (token, id) -> id to token }
    private val ranks = merges.lineSequence().filter { it.isNotEmpty() && !it.startsWith("#version") }
        .withIndex().associate { (rank, line) -> line to rank }

    fun encode(text: String): List<Int> =
        (if (Autocomplete.DIGITS_APART) PARTS.findAll(text).map { it.value } else sequenceOf(text))
            .flatMap { WORD.findAll(it) }.flatMap { merged(it.value) }.map { ids.getValue(it) }.toList()

    /** Bytes that are no text, or a part of a character, are left out. */
    fun decode(added: List<Int>): String {
        val characters = added.filter { it !in Autocomplete.NO_TEXT }.joinToString("") { tokens.getValue(it) }
        return String(ByteArray(characters.length) { BYTES.getValue(characters[it]) }).replace("\uFFFD", "")
    }

    private fun merged(word: String): List<String> {
        // bytes that are no token are left out
        val parts = word.toByteArray().map { CHARACTERS[it.toInt() and 0xff].toString() }.filter { it in ids }.toMutableList()
        while (parts.size > 1) {
            val best = (0 until parts.size - 1).minByOrNull { rank(parts, it) } ?: break
            if (rank(parts, best) == Int.MAX_VALUE) break
            parts[best] += parts.removeAt(best + 1)
        }
        return parts
    }

    private fun rank(parts: List<String>, at: Int) = ranks[parts[at] + " " + parts[at + 1]] ?: Int.MAX_VALUE

    private companion object {
        val ENTRY = Regex("\"((?:[^\"\\\\]|\\\\.)*)\"\\s*:\\s*(\\d+)")
        val ESCAPE = Regex("\\\\(?:u([0-9a-fA-F]{4})|(.))")

        /** White space by Unicode, which Android's and Java's expressions name differently. */
        const val BLANKS = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
        val PARTS = Regex("\\p{N}|\\P{N}+")
        val WORD = Regex(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" + BLANKS + "\\p{L}\\p{N}]+" +
                "|[" + BLANKS + "]+(?![^" + BLANKS + "])|[" + BLANKS + "]+",
        )

        /** Each byte is written as a printable character: itself, or one from 256 on. */
        val CHARACTERS = run {
            val (printable, others) = (0..255).partition { it in 0x21..0x7e || (it >= 0xa1 && it != 0xad) }
            val codes = printable.associateWith { it } + others.withIndex().associate { (i, byte) -> byte to 256 + i }
            List(256) { codes.getValue(it).toChar() }
        }
        val BYTES = CHARACTERS.withIndex().associate { (byte, character) -> character to byte.toByte() }

        fun unescaped(text: String) = ESCAPE.replace(text) {
            val (code, sign) = it.destructured
            if (code.isEmpty()) sign else code.toInt(16).toChar().toString()
        }
    }
}
