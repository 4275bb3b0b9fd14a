"""The sentences for the basic block in Chinese; where one is missing, the English one stands."""

from resnet_checks.phrases.english_layers import Entries

_DETACH = "请检查 detach、.data 或 no_grad。"

CHINESE: Entries = {
    "passed": "通过",
    "fault found": "发现错误",
    "hint": "提示",
    "subject basic block": "基本块",
    "basic block": "基本块",
    "block": "块",
    "ordinals": "一 二 三 四 五 六 七 八",
    "numbers": "零 一 两 三 四 五 六",
    "and": "{first}和{last}",
    "name of convolution": "第{ordinal}个卷积",
    "projection": "投影卷积",
    "norm of": "{name}之后的批归一化",
    "batch norm": "批归一化",
    "same": "形状相同时",
    "changed": "形状改变时",
    "channels changed": "只有通道数改变时",
    "stride changed": "只有步幅改变时",
    "middle": "中间",
    "runs": "可以运行，输出形状正确",
    "layers basic block": "两个无偏置的 3×3 卷积，各有自己的批归一化",
    "out relu(F + s)": "输出为 ReLU(F(x) + x)，且 x 未被改动",
    "eval": "评估模式下同样正确，使用滑动统计量",
    "gradient passes": "梯度通过残差分支，也通过捷径",
    "parameters": "{number} 个参数，全部被使用",
    "the same with a projection": "{case}：同样正确，带投影；{rest}",
    "no convolution": (
        "前向传播中没有发现卷积。残差分支应有{right}个。",
        "只能识别 nn.Conv2d 和 F.conv2d。",
    ),
    "number": "残差分支有 {found} 个卷积。{block}应有{right}个。",
    "number 1": "残差分支只有一个卷积。{block}应有{right}个。",
    "kernel": "{name}的卷积核为 {height}×{width}，应为 {size}×{size}。",
    "padding": "{name}的填充为 {found}。{size}×{size} 的卷积核需要填充 {fits} 才能保持高和宽。",
    "bias": ("{name}带有偏置，其后的批归一化会将它抵消。", "创建卷积时使用 bias=False。"),
    "no norm": ("{name}之后没有批归一化。", "每个卷积后面都应紧跟一个批归一化。"),
    "norm behind relu": "{name}之后的批归一化位于 ReLU 之后。正确顺序是卷积、批归一化、ReLU。",
    "middle is norm": (
        "{place}缺少 ReLU：{name}直接读取了批归一化的输出。",
        "两个卷积之间应有批归一化和 ReLU。",
    ),
    "no projection": (
        "捷径上没有投影。x 有 {in_channels} 个通道，大小 {height}×{width}；F(x) 有 {out_channels} "
        "个通道，大小 {high}×{wide}。",
        "用带步幅的 1×1 卷积和批归一化使 x 与 F(x) 形状一致。",
    ),
    "end": "请检查 forward 的结尾，应计算 {right}。",
    "relu(F + s) ≠ F + s": "缺少相加之后的 ReLU：输出为 F(x) + {s}。",
    "relu(F + s) ≠ relu(F) + s": "相加发生在最后一个 ReLU 之后，应在它之前：{right}。",
    "sum F alone": "缺少相加：结果只是 {total}。",
    "sum 1 2": "捷径被加了两次：结果为 {total}。",
    "sum sign": "符号错误：结果为 {total}。",
    "sum weighted": "求和带有权重：结果为 {total}。",
    "no gradient branch": ("没有梯度通过残差分支，它无法训练。", _DETACH),
    "no gradient": ("没有梯度通过{name}。", _DETACH),
    "shortcut": "捷径",
    "in eval": "评估模式下：{fault}",
}
