namespace HeadPatching.Core.Models;

/// <summary>The activation function of the MLP.</summary>
public enum Activation
{
    /// <summary>GELU with the error function (config.json: <c>gelu</c>).</summary>
    Gelu,

    /// <summary>GELU's tanh approximation (config.json: <c>gelu_new</c>, <c>gelu_pytorch_tanh</c>).</summary>
    GeluTanh,

    /// <summary>max(x, 0) (config.json: <c>relu</c>).</summary>
    Relu,

    /// <summary>x * sigmoid(x) (config.json: <c>silu</c>, <c>swish</c>).</summary>
    Silu,
}
