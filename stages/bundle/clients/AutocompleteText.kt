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

    /** The prompt, then what the model adds; only the prompt where it is longer than the model's answers. */
    @Synchronized
    fun complete(prompt: String): String {
        if (prompt.toByteArray().size > MAX_OUTPUT_BYTES) return prompt
        val answer = ByteBuffer.allocateDirect(HEADER_BYTES + MAX_OUTPUT_BYTES).order(ByteOrder.nativeOrder())
        interpreter.run(prompt, answer)
        return text(answer)
    }

    override fun close() = interpreter.close()

    /** A tensor of one string: how many there are, where it begins, where it ends, its bytes. */
    private fun text(tensor: ByteBuffer): String {
        val first = tensor.getInt(4)
        val bytes = ByteArray(tensor.getInt(8) - first)
        tensor.position(first)
        tensor.get(bytes)
        return String(bytes)
    }

    private companion object {
        const val MAX_OUTPUT_BYTES = $max_output_bytes
        const val HEADER_BYTES = 12
    }
}
