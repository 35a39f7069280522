// Completes a text with autocomplete.tflite of the bundle that this file lies in: $name, $mode.
//
// Needs org.tensorflow:tensorflow-lite and org.tensorflow:tensorflow-lite-select-tf-ops, as the public Android demo
// app has them. Call it away from the main thread.

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/** The model, from the content of autocomplete.tflite: a direct or mapped buffer. */
class Autocomplete(model: ByteBuffer) : AutoCloseable {
    private val interpreter = Interpreter(model)

    /** The text, then what the model adds to its last words; the text alone if these words alone fill an answer. */
    @Synchronized
    fun complete(typed: String, words: Int = WORDS): String {
        val prompt = lastWords(typed, words)
        if (prompt.toByteArray().size > MAX_OUTPUT_BYTES) return typed
        val answer = ByteBuffer.allocateDirect(HEADER_BYTES + MAX_OUTPUT_BYTES).order(ByteOrder.nativeOrder())
        interpreter.run(prompt, answer)
        return typed.dropLast(prompt.length) + text(answer)
    }

    override fun close() = interpreter.close()

    /** The end of a text from its last words on, runs of non-blanks. */
    private fun lastWords(text: String, count: Int): String {
        val words = WORD.findAll(text).toList()
        return if (words.size <= count) text else text.substring(words[words.size - count].range.first)
    }

    /** The string of a tensor with one string: the number of strings, its begin, its end, its bytes. */
    private fun text(tensor: ByteBuffer): String {
        val first = tensor.getInt(4)
        val bytes = ByteArray(tensor.getInt(8) - first)
        tensor.position(first)
        tensor.get(bytes)
        return String(bytes)
    }

    private companion object {
        /** The model gets so many of the text's last words: $words_minimum to $words_maximum, as an app may let its users choose. */
        const val WORDS = $words_default
        val WORD = Regex("\\S+")
        const val MAX_OUTPUT_BYTES = $max_output_bytes
        const val HEADER_BYTES = 12
    }
}
