// A stand-in for TensorFlow Lite's class, which runs on Android only. Answers come from the file that ANSWERS names.
package org.tensorflow.lite

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

class Interpreter(model: ByteBuffer) : AutoCloseable {
    private val answers = File(System.getenv("ANSWERS")).readLines().associate { line ->
        val (request, answer) = line.split("|")
        request to answer
    }

    init {
        require(model.isDirect) { "the Java interface takes direct buffers only" }
    }

    /** A string tensor as TensorFlow Lite lays it out: how many strings, where each begins, where the last ends. */
    fun run(input: Any, output: Any) {
        val bytes = unhex(answers.getValue(hex((input as String).toByteArray())))
        val tensor = ByteBuffer.allocate(12 + bytes.size).order(ByteOrder.nativeOrder())
        tensor.putInt(1).putInt(12).putInt(12 + bytes.size).put(bytes).flip()
        (output as ByteBuffer).put(tensor)
    }

    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, signatureKey: String) {
        require(signatureKey == "generate") { signatureKey }
        require(inputs["temperature"] as Float == 0f && inputs["top_p"] as Float == 1f)
        if ("prompt" in inputs) runBytes(inputs, outputs) else runTokens(inputs, outputs)
    }

    /** An answer for each prompt; the bytes behind the prompt are ignored. */
    @Suppress("UNCHECKED_CAST")
    private fun runBytes(inputs: Map<String, Any>, outputs: Map<String, Any>) {
        val names = setOf("prompt", "prompt_length", "max_tokens", "temperature", "top_k", "top_p", "seed", "complete_word")
        require(inputs.keys == names && outputs.keys == setOf("text", "text_length")) { "$inputs $outputs" }
        val prompt = (inputs["prompt"] as Array<ByteArray>)[0].copyOf(inputs["prompt_length"] as Int)
        val text = unhex(answers.getValue(hex(prompt)))
        text.copyInto((outputs["text"] as Array<ByteArray>)[0])
        (outputs["text_length"] as ByteBuffer).putInt(text.size)
    }

    @Suppress("UNCHECKED_CAST")
    private fun runTokens(inputs: Map<String, Any>, outputs: Map<String, Any>) {
        val names = setOf("tokens", "length", "max_length", "temperature", "top_k", "top_p", "seed")
        require(inputs.keys - "complete_word" == names && outputs.keys == setOf("tokens", "length")) { "$inputs $outputs" }
        val prompt = (inputs["tokens"] as Array<IntArray>)[0].take(inputs["length"] as Int)
        val answer = answers.getValue(prompt.joinToString(" ")).split(" ").map { it.toInt() }
        val tokens = (outputs["tokens"] as Array<IntArray>)[0]
        require(inputs["max_length"] as Int == tokens.size)
        answer.forEachIndexed { place, id -> tokens[place] = id }
        (outputs["length"] as ByteBuffer).putInt(answer.size)
    }

    override fun close() {}
}

fun hex(bytes: ByteArray) = bytes.joinToString("") { "%02x".format(it) }

fun unhex(text: String) = text.chunked(2).map { it.toInt(16).toByte() }.toByteArray()
