//! Graphs built here, node by node: what they become, and what is refused.

use super::super::super::op::Op;
use super::proto::{
    AttributeProto, AttributeType, Dimension, Extent, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::{OnnxError, OnnxImport, read};
use prost::Message;

/// A value with dimensions; a negative one is open.
fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&extent: &i64| Dimension {
        value: Some(if extent < 0 { Extent::Param("n".to_owned()) } else { Extent::Value(extent) }),
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: 1, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

/// A node from space-separated names; `_` stands for an input left out.
fn node(op_type: &str, inputs: &str, output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.split_whitespace().map(|name| name.replace('_', "")).collect(),
        output: output.split_whitespace().map(str::to_owned).collect(),
        op_type: op_type.to_owned(),
        attribute,
        ..NodeProto::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        i,
        r#type: AttributeType::Int as i32,
        ..AttributeProto::default()
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.to_owned(), ints: ints.to_vec(), r#type, ..AttributeProto::default() }
}

fn text(name: &str, text: &str) -> AttributeProto {
    let r#type = AttributeType::String as i32;
    AttributeProto { name: name.to_owned(), s: text.into(), r#type, ..AttributeProto::default() }
}

fn floats(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: data.to_vec(),
        ..TensorProto::default()
    }
}

fn integers(name: &str, data: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![data.len() as i64],
        data_type: 7,
        int64_data: data.to_vec(),
        ..TensorProto::default()
    }
}

/// A graph from `x` of `dims` to `y`.
fn model(opset: i64, dims: &[i64], node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    ModelProto {
        graph: Some(GraphProto {
            node,
            initializer,
            input: vec![value("x", dims)],
            output: vec![value("y", &[-1])],
        }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
    }
}

fn import(model: &ModelProto) -> OnnxImport {
    read(&model.encode_to_vec()).unwrap_or_else(|error| panic!("{error}"))
}

/// The operators after the input.
fn ops(model: &ModelProto) -> Vec<Op> {
    import(model).network.nodes()[1..].iter().map(|node| node.op.clone()).collect()
}

fn error(model: &ModelProto) -> String {
    read(&model.encode_to_vec()).expect_err("the model must be refused").to_string()
}

/// A single node `op x … → y` on an image `[2, 4, 6]`.
fn single(
    op: &str,
    inputs: &str,
    attributes: Vec<AttributeProto>,
    constants: Vec<TensorProto>,
) -> ModelProto {
    model(17, &[-1, 2, 4, 6], vec![node(op, inputs, "y", attributes)], constants)
}

#[test]
fn every_unsupported_node_is_listed_at_once() {
    let nodes = vec![
        node("Selu", "x", "a", vec![]),
        node("MaxPool", "x", "b", vec![ints("kernel_shape", &[2, 2]), int("zeal", 1)]),
        node("Relu", "a", "c", vec![]),
        node("Einsum", "c b", "d", vec![]),
        node("Transpose", "x", "e", vec![ints("perm", &[1, 0, 2, 3])]),
        node("Resize", "x", "unused", vec![]),
        node("Relu", "missing", "f", vec![]),
        NodeProto { domain: "com.microsoft".to_owned(), ..node("Gelu", "x", "g", vec![]) },
        node("Sum", "d e f g", "y", vec![]),
    ];
    let Err(OnnxError::Unsupported { nodes }) =
        read(&model(17, &[-1, 2, 4, 4], nodes, vec![]).encode_to_vec())
    else {
        panic!("the model must be refused")
    };
    let found: Vec<(&str, &str)> = nodes.iter().map(|n| (n.output.as_str(), n.op_type.as_str())).collect();
    let expected = [
        ("a", "Selu"),
        ("b", "MaxPool"),
        ("d", "Einsum"),
        ("e", "Transpose"),
        ("f", "Relu"),
        ("g", "Gelu"),
        ("y", "Sum"),
    ];
    assert_eq!(found, expected);
    let reasons: Vec<&str> = nodes.iter().map(|n| n.reason.as_str()).collect();
    assert!(
        reasons[1].contains("`zeal`") && reasons[3].contains("batch") && reasons[4].contains("\"missing\"")
    );
    let message = OnnxError::Unsupported { nodes }.to_string();
    assert!(message.starts_with("7 nodes of the graph are not supported:\n  \"a\" (Selu): "), "{message}");
}

#[test]
fn inputs_and_outputs_must_be_one_each() {
    let base = || single("Relu", "x", vec![], vec![]);
    let graph = |change: fn(&mut GraphProto)| {
        let mut model = base();
        change(model.graph.as_mut().expect("a graph"));
        error(&model)
    };
    assert!(graph(|g| g.input.push(value("mask", &[1]))).contains("2 inputs (x, mask)"));
    assert!(graph(|g| g.input.clear()).contains("no input"));
    assert!(graph(|g| g.output.push(value("features", &[1]))).contains("2 outputs (y, features)"));
    assert!(graph(|g| g.output.clear()).contains("no output"));
    assert!(graph(|g| g.output[0].name = "z".to_owned()).contains("\"z\" is not computed"));
    assert!(graph(|g| g.input[0] = value("x", &[-1, 3, -1, 4])).contains("only the first dimension"));
    assert!(graph(|g| g.input[0] = value("x", &[1, 3, 0, 4])).contains("only the first dimension"));
    assert!(graph(|g| g.input[0] = value("x", &[4])).contains("1 dimensions"));
    assert!(graph(|g| g.input[0].r#type = None).contains("not a tensor"));
    // Old files list initialisers among the inputs.
    let mut model = single("Add", "x c", vec![], vec![floats("c", &[], &[1.0])]);
    model.graph.as_mut().expect("a graph").input.push(value("c", &[]));
    assert_eq!(ops(&model), [Op::Constant { shape: vec![] }, Op::Add]);
}

#[test]
fn operator_sets_outside_the_range_are_refused() {
    for version in [-1, 0, 6, 29, i64::MAX] {
        let model = model(version, &[1, 2], vec![node("Relu", "x", "y", vec![])], vec![]);
        assert!(error(&model).contains(&format!("version {version} of")), "{version}");
    }
    let mut model = single("Relu", "x", vec![], vec![]);
    model.opset_import[0].domain = "ai.onnx.ml".to_owned();
    assert!(error(&model).contains("no version"));
    model.graph = None;
    assert!(error(&model).contains("no graph"));
    assert!(matches!(read(&[]), Err(OnnxError::NoGraph)));
}

#[test]
fn reshapes_keep_the_batch_apart() {
    let target = |dims: &[i64], first: i64| {
        model(17, &[first, 2, 4, 6], vec![node("Reshape", "x s", "y", vec![])], vec![integers("s", dims)])
    };
    let reshape = |dims: &[i64], first: i64| ops(&target(dims, first));
    assert_eq!(reshape(&[0, -1], -1), [Op::Flatten]);
    assert_eq!(reshape(&[-1, 48], -1), [Op::Flatten]);
    assert_eq!(reshape(&[5, 48], 5), [Op::Flatten]);
    assert_eq!(reshape(&[-1, 0, 24], -1), [Op::Reshape { shape: vec![2, 24] }]);
    assert_eq!(reshape(&[0, 0, -1, 3], -1), [Op::Reshape { shape: vec![2, 8, 3] }]);
    assert_eq!(reshape(&[0, 0, 0, 0], -1), []);
    for dims in [&[1, 48][..], &[-1, 24], &[-1, -1], &[-1], &[], &[0, 5, -1], &[0, -2, -24], &[0, 1 << 62, 4]]
    {
        let message = error(&target(dims, -1));
        assert!(message.contains("(Reshape)"), "{dims:?}: {message}");
    }
    // Zero means zero here.
    let zero = model(
        17,
        &[-1, 2, 4, 6],
        vec![node("Reshape", "x s", "y", vec![int("allowzero", 1)])],
        vec![integers("s", &[0, -1])],
    );
    assert!(error(&zero).contains("batch"));
}

#[test]
fn a_sum_after_a_product_becomes_a_bias_only_if_nothing_else_uses_the_product() {
    let graph = |nodes| {
        let constants = vec![
            floats("w", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            floats("b", &[1, 2], &[7.0, 8.0]),
            floats("one", &[], &[1.0]),
        ];
        model(17, &[-1, 3], nodes, constants)
    };
    let fused = graph(vec![node("MatMul", "x w", "a", vec![]), node("Add", "b a", "y", vec![])]);
    let import = import(&fused);
    let linear = Op::Linear { in_features: 3, out_features: 2, bias: true };
    assert_eq!(import.network.nodes()[1].op, linear);
    let parameters: Vec<&[f32]> = import.network.parameters().map(|(_, p)| p.tensor.data()).collect();
    assert_eq!(parameters, [&[1.0, 3.0, 5.0, 2.0, 4.0, 6.0][..], &[7.0, 8.0]]);

    let bare = Op::Linear { in_features: 3, out_features: 2, bias: false };
    let used_twice = graph(vec![
        node("MatMul", "x w", "a", vec![]),
        node("Identity", "a", "i", vec![]),
        node("Add", "i b", "c", vec![]),
        node("Mul", "a c", "y", vec![]),
    ]);
    let constant = Op::Constant { shape: vec![2] };
    assert_eq!(ops(&used_twice), [bare.clone(), constant, Op::Add, Op::Mul]);
    let scalar = graph(vec![node("MatMul", "x w", "a", vec![]), node("Add", "a one", "y", vec![])]);
    assert_eq!(ops(&scalar), [bare, Op::Constant { shape: vec![] }, Op::Add]);
}

#[test]
fn constants_broadcast_without_the_batch() {
    let constant_shape = |dims: &[i64]| {
        let count = dims.iter().product::<i64>() as usize;
        let model = single("Mul", "c x", vec![], vec![floats("c", dims, &vec![2.0; count])]);
        import(&model).network.nodes()[1].op.clone()
    };
    for (dims, shape) in
        [(&[1, 2, 1, 1][..], vec![2, 1, 1]), (&[2, 1, 1], vec![2, 1, 1]), (&[6], vec![6]), (&[], vec![])]
    {
        assert_eq!(constant_shape(dims), Op::Constant { shape });
    }
    for dims in [&[3, 2, 1, 1][..], &[1, 1, 2, 1, 1], &[5]] {
        let count = dims.iter().product::<i64>() as usize;
        error(&single("Mul", "x c", vec![], vec![floats("c", dims, &vec![2.0; count])]));
    }
}

#[test]
fn differences_and_quotients_are_exact_or_noted() {
    let import_of = |op, value| import(&single(op, "x c", vec![], vec![floats("c", &[], &[value])]));
    let constant = |import: &OnnxImport| import.network.tensors()["c.value"].data()[0];
    let difference = import_of("Sub", 0.1);
    assert_eq!((constant(&difference), difference.notes.len()), (-0.1, 0));
    let quarter = import_of("Div", -4.0);
    assert_eq!((constant(&quarter), quarter.notes.len()), (-0.25, 0));
    let third = import_of("Div", 3.0);
    assert_eq!((constant(&third), third.notes.len()), (1.0 / 3.0, 1));
    for value in [0.0, f32::NAN, f32::INFINITY, 1e-40, 3e38] {
        assert!(
            error(&single("Div", "x c", vec![], vec![floats("c", &[], &[value])])).contains("reciprocal")
        );
    }
    let minuend = single("Sub", "c x", vec![], vec![floats("c", &[], &[1.0])]);
    assert!(error(&minuend).contains("input 0 is constant"));
}

#[test]
fn clip_takes_its_bounds_from_attributes_inputs_or_the_standard() {
    let bounds = || vec![floats("l", &[], &[-1.0]), floats("h", &[1], &[6.0])];
    let clip = |min, max| vec![Op::Clip { min, max }];
    assert_eq!(ops(&single("Clip", "x l h", vec![], bounds())), clip(-1.0, 6.0));
    assert_eq!(ops(&single("Clip", "x _ h", vec![], bounds())), clip(f32::MIN, 6.0));
    assert_eq!(ops(&single("Clip", "x l", vec![], bounds())), clip(-1.0, f32::MAX));
    assert!(error(&single("Clip", "x h l", vec![], bounds())).contains("must not exceed"));
    let wide = vec![floats("l", &[2], &[0.0, 1.0])];
    assert!(error(&single("Clip", "x l", vec![], wide)).contains("single number"));
}

#[test]
fn softmax_before_version_13_ran_over_all_later_dimensions() {
    let softmax = |opset, dims: &[i64], attributes| {
        model(opset, dims, vec![node("Softmax", "x", "y", attributes)], vec![])
    };
    assert_eq!(ops(&softmax(12, &[-1, 5], vec![])), [Op::Softmax { axis: 0 }]);
    assert_eq!(ops(&softmax(12, &[-1, 5, 1, 1], vec![])), [Op::Softmax { axis: 0 }]);
    assert_eq!(ops(&softmax(12, &[-1, 5, 3], vec![int("axis", -1)])), [Op::Softmax { axis: 1 }]);
    assert_eq!(ops(&softmax(13, &[-1, 5, 3], vec![])), [Op::Softmax { axis: 1 }]);
    assert_eq!(ops(&softmax(13, &[-1, 5, 3], vec![int("axis", 1)])), [Op::Softmax { axis: 0 }]);
    assert!(error(&softmax(12, &[-1, 5, 3], vec![])).contains("operator set 13"));
    assert!(error(&softmax(13, &[-1, 5, 3], vec![int("axis", 0)])).contains("batch"));
    assert!(error(&softmax(13, &[-1, 5, 3], vec![int("axis", 3)])).contains("axis 3"));
    let twice = vec![node("LogSoftmax", "x", "a", vec![]), node("Relu", "a", "y", vec![])];
    assert!(error(&model(17, &[-1, 5], twice, vec![])).contains("last node"));
}

#[test]
fn whatever_trains_or_touches_the_batch_is_refused() {
    let yes = || TensorProto { data_type: 9, int32_data: vec![1], ..integers("t", &[]) };
    let scalar_yes = TensorProto { dims: vec![], ..yes() };
    let refusals = [
        (single("Dropout", "x _ t", vec![], vec![scalar_yes]), "training"),
        (single("Flatten", "x", vec![int("axis", 2)], vec![]), "axis 2"),
        (single("Concat", "x x", vec![int("axis", 0)], vec![]), "batch"),
        (single("Squeeze", "x", vec![], vec![]), "batch"),
        (single("Unsqueeze", "x a", vec![], vec![integers("a", &[0])]), "before the batch"),
        (single("Pad", "x p", vec![], vec![integers("p", &[1, 0, 0, 0, 0, 0, 0, 0])]), "pads the batch"),
        (single("Pad", "x p", vec![], vec![integers("p", &[0, 0, -1, 0, 0, 0, 0, 0])]), "negative"),
        (single("Pad", "x p", vec![text("mode", "reflect")], vec![integers("p", &[0; 8])]), "reflect"),
        (single("ReduceMean", "x", vec![ints("axes", &[1])], vec![]), "[2, 3]"),
        (single("ReduceMean", "x", vec![], vec![]), "no axes"),
        (single("Gemm", "x w", vec![], vec![floats("w", &[1, 1], &[0.0])]), "4 dimensions"),
        (single("MatMul", "x x", vec![], vec![]), "not constant"),
        (single("Cast", "x", vec![int("to", 10)], vec![]), "float16"),
        (single("Conv", "x w", vec![], vec![floats("w", &[1, 2, 1], &[0.0; 2])]), "two-dimensional"),
        (single("Conv", "x w", vec![], vec![floats("w", &[1, 3, 1, 1], &[0.0; 3])]), "expected 3 channels"),
        (
            single(
                "Conv",
                "x w b",
                vec![],
                vec![floats("w", &[1, 2, 1, 1], &[0.0; 2]), floats("b", &[2], &[0.0; 2])],
            ),
            "its bias has shape [2]",
        ),
        (single("MaxPool", "x", vec![], vec![]), "`kernel_shape` is missing"),
        (single("MaxPool", "x", vec![ints("kernel_shape", &[0, 2])], vec![]), "positive"),
        (
            single("MaxPool", "x", vec![ints("kernel_shape", &[2, 2]), ints("pads", &[0, 0, 2, 0])], vec![]),
            "half the window",
        ),
        (single("MaxPool", "x", vec![text("kernel_shape", "big")], vec![]), "of kind 3"),
        (
            single(
                "AveragePool",
                "x",
                vec![ints("kernel_shape", &[2, 2]), ints("dilations", &[2, 1])],
                vec![],
            ),
            "dilated",
        ),
        (single("Relu", "x x", vec![], vec![]), "2 inputs"),
        (single("Relu", "_", vec![], vec![]), "input 0 is missing"),
        (single("Add", "w w", vec![], vec![floats("w", &[], &[0.0])]), "both inputs are constant"),
    ];
    for (model, part) in refusals {
        let message = error(&model);
        assert!(message.contains(part), "\"{part}\" is not in: {message}");
    }
}

#[test]
fn slices_that_skip_rows_and_columns_are_pools_and_others_are_refused() {
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        let constants =
            vec![integers("s", starts), integers("e", ends), integers("a", axes), integers("t", steps)];
        single("Slice", "x s e a t", vec![], constants)
    };
    let both = import(&slice(&[0, 0], &[i64::MAX, 6], &[-2, 3], &[2, 4]));
    assert_eq!(both.network.shape(both.network.output()), [2, 2, 2]);
    assert_eq!(ops(&slice(&[0, -9], &[i64::MAX, 6], &[0, 1], &[1, 1])), []);
    for refused in [
        slice(&[1], &[9], &[2], &[1]),
        slice(&[0], &[3], &[2], &[1]),
        slice(&[0], &[1000], &[0], &[1]),
        slice(&[0], &[i64::MAX], &[0], &[2]),
        slice(&[0], &[9], &[1], &[2]),
        slice(&[-1], &[i64::MIN], &[3], &[-1]),
        slice(&[0, 0], &[9, 9], &[2, 2], &[1, 1]),
        slice(&[0], &[9, 9], &[2], &[1]),
        slice(&[0], &[9], &[4], &[1]),
        slice(&[0], &[9], &[2], &[0]),
    ] {
        assert!(error(&refused).contains("(Slice)"));
    }
}

#[test]
fn a_tensor_used_a_thousand_times_does_not_outgrow_the_file() {
    let count = 1 << 14;
    let nodes: Vec<NodeProto> = (0..200)
        .map(|i| {
            let input = if i == 0 { "x".to_owned() } else { format!("v{i}") };
            let output = if i == 199 { "y".to_owned() } else { format!("v{}", i + 1) };
            node("Mul", &format!("{input} c"), &output, vec![])
        })
        .collect();
    let model = model(17, &[-1, count], nodes, vec![floats("c", &[count], &vec![1.0; count as usize])]);
    assert!(error(&model).contains("larger than the file"));
}

#[test]
fn a_shared_weight_is_noted() {
    let nodes = vec![node("MatMul", "x w", "a", vec![]), node("MatMul", "a w", "y", vec![])];
    let import = import(&model(17, &[-1, 1], nodes, vec![floats("w", &[1, 1], &[2.0])]));
    assert_eq!(import.notes, ["\"w\" is used by 2 nodes; each has a copy of its own"]);
}
